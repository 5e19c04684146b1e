/**
 * The walls of the house (src/README.md draws them): which room may import which,
 * and that time and chance are only read in clock.ts.
 */
const rooms = {
  job: [],
  task: ['job'],
  events: ['job', 'task', 'shelf.ts'],
  queue: ['job', 'task'],
  // The way back: a retry, snooze or interruption puts the job into the queue again.
  settle: ['job', 'task', 'queue'],
  defer: ['job', 'task', 'queue', 'async-context.ts'],
  flows: ['job', 'task', 'queue', 'defer', 'shelf.ts'],
  dispatch: ['job', 'task', 'queue', 'settle', 'threads'],
  // The thread's side is a world of its own, with a real clock.
  threads: ['job', 'task', 'clock.ts'],
  // A thread of its own watches whether handlers block this one.
  'main-lane': ['job', 'task', 'threads', 'clock.ts'],
}

/** What every room may import: no room, no state. */
const ground = ['errors.ts', 'options.ts', 'slice.ts', 'world.ts']

/** Folders beside the core: they use the public Scheduler, and the core does without them. */
const addOns = ['client', 'cron', 'express', 'metrics', 'opentelemetry', 'testing']

const zones = [
  ...Object.entries(rooms).map(([room, allowed]) => ({
    target: `./src/${room}`,
    from: './src',
    except: [room, ...allowed, ...ground].map((path) => `./${path}`),
    message: `The room ${room} may import ${allowed.join(', ') || 'no room'} besides errors, options, slice and world.`,
  })),
  {
    target: './src/*.ts',
    from: addOns.map((addOn) => `./src/${addOn}`),
    message: 'The core never imports an add-on.',
  },
  ...addOns.map((addOn) => ({
    target: `./src/${addOn}`,
    from: addOns
      .filter((other) => other !== addOn && !(addOn === 'client' && other === 'express'))
      .map((other) => `./src/${other}`),
    message: `The add-on ${addOn} does without other add-ons.`,
  })),
  {
    target: './src/client',
    from: './src',
    except: ['./client', './express/job-status.ts', './express/flow-status.ts'],
    message: 'The client runs in browsers: it knows the shape of a status and nothing else.',
  },
]

const ports = 'Time and chance come from the World (src/world.ts); only clock.ts reads the real ones.'

const timeModules = [
  { name: 'node:timers', importNames: ['setTimeout', 'setInterval'], message: ports },
  { name: 'node:timers/promises', importNames: ['setTimeout', 'setInterval', 'scheduler'], message: ports },
  { name: 'node:perf_hooks', importNames: ['performance'], message: ports },
]
const addOnModules = ['express', 'prom-client', '@opentelemetry/api'].map((name) => ({
  name,
  message: 'The core never needs it; add-ons do.',
}))

/** Rooms of which the test kit is built. */
const engineRooms = ['defer', 'events', 'job', 'main-lane', 'task', 'threads']

/** By the words of the import, as no rule about paths tells `import type`, which leaves nothing in the output. */
const roomValues = {
  group: ['..', '../..'].flatMap((src) => [
    ...Object.keys(rooms).map((room) => `${src}/${room}/**`),
    `${src}/scheduler.js`,
    `${src}/world.js`,
  ]),
  allowTypeImports: true,
  message:
    'An add-on uses the public Scheduler: values from index and the files beside it; from the rooms only types.',
}

/** The test kit is the engine in another world, so it builds with the engine's own parts. */
const engineValues = {
  group: ['..', '../..'].flatMap((src) => [
    ...Object.keys(rooms)
      .filter((room) => !engineRooms.includes(room))
      .map((room) => `${src}/${room}/**`),
    `${src}/rooms.js`,
    `${src}/real-world.js`,
  ]),
  allowTypeImports: true,
  message: `The add-on testing takes values from ${engineRooms.join(', ')} and the scheduler; from elsewhere only types.`,
}

const accessors =
  'Each object with an accessor in its literal gets a hidden class of its own, which lives, with all the accessor ' +
  'reaches, until a full collection. Use a method, or a class.'

module.exports = {
  root: true,
  parser: '@typescript-eslint/parser',
  plugins: ['@typescript-eslint', 'import'],
  settings: { 'import/resolver': { typescript: { project: `${__dirname}/tsconfig.json` } } },
  extends: ['eslint:recommended'],
  env: { node: true, es2022: true },
  parserOptions: { ecmaVersion: 2023, sourceType: 'module' },
  ignorePatterns: ['dist', 'node_modules', 'coverage'],
  rules: {
    'no-undef': 'off',
    'no-unused-vars': 'off',
    'no-constant-condition': ['error', { checkLoops: false }],
  },
  overrides: [
    {
      files: ['src/**/*.ts'],
      extends: ['plugin:@typescript-eslint/strict-type-checked'],
      parserOptions: { project: './tsconfig.json', tsconfigRootDir: __dirname },
      rules: {
        '@typescript-eslint/restrict-template-expressions': 'off',
        '@typescript-eslint/no-explicit-any': 'error',
        '@typescript-eslint/no-non-null-assertion': 'error',
        '@typescript-eslint/switch-exhaustiveness-check': 'error',
        '@typescript-eslint/no-confusing-void-expression': 'off',
        '@typescript-eslint/no-invalid-void-type': 'off',
        '@typescript-eslint/unified-signatures': 'off',
        'import/no-restricted-paths': ['error', { basePath: __dirname, zones }],
        // A path that does not resolve would pass every wall.
        'import/no-unresolved': 'error',
        '@typescript-eslint/no-restricted-imports': ['error', { paths: [...timeModules, ...addOnModules] }],
        'import/no-default-export': 'error',
        'no-empty': ['error', { allowEmptyCatch: false }],
        'no-restricted-globals': [
          'error',
          { name: 'setTimeout', message: ports },
          { name: 'setInterval', message: ports },
          { name: 'performance', message: ports },
        ],
        'no-restricted-properties': [
          'error',
          { object: 'Date', property: 'now', message: ports },
          { object: 'Math', property: 'random', message: ports },
          { object: 'globalThis', property: 'setTimeout', message: ports },
          { object: 'globalThis', property: 'setInterval', message: ports },
          { object: 'globalThis', property: 'performance', message: ports },
          { object: 'AbortSignal', property: 'timeout', message: ports },
          { object: 'process', property: 'hrtime', message: ports },
        ],
        'no-restricted-syntax': [
          'error',
          { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: ports },
          { selector: "CallExpression[callee.name='Date']", message: ports },
          { selector: "ObjectExpression > Property[kind='get']", message: accessors },
        ],
      },
    },
    {
      files: addOns.map((addOn) => `src/${addOn}/**/*.ts`),
      rules: {
        '@typescript-eslint/no-restricted-imports': ['error', { paths: timeModules, patterns: [roomValues] }],
      },
    },
    {
      // In a browser there is no World; its timer is the only port it needs.
      files: ['src/client/**/*.ts'],
      rules: { 'no-restricted-globals': 'off' },
    },
    {
      files: ['src/testing/**/*.ts'],
      rules: {
        '@typescript-eslint/no-restricted-imports': [
          'error',
          { paths: timeModules, patterns: [engineValues] },
        ],
      },
    },
    {
      files: ['src/clock.ts'],
      rules: {
        '@typescript-eslint/no-restricted-imports': 'off',
        'no-restricted-globals': 'off',
        'no-restricted-properties': 'off',
        'no-restricted-syntax': 'off',
      },
    },
    {
      files: ['test/**/*.ts', 'example-app/**/*.ts'],
      plugins: ['@typescript-eslint'],
      rules: { '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }] },
    },
  ],
}
