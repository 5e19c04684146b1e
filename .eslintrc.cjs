/**
 * The walls of the house (src/README.md draws them): which room may import which,
 * and that time and chance are only read in clock.ts.
 */
const rooms = {
  job: [],
  task: ['job'],
  events: ['job', 'task'],
  settle: ['job', 'task', 'events'],
  queue: ['job', 'task'],
  defer: ['job', 'task', 'queue'],
  dispatch: ['job', 'task', 'queue', 'settle', 'events', 'threads'],
  threads: ['job', 'task'],
  'main-lane': ['job', 'task', 'threads'],
}

const zones = Object.entries(rooms).flatMap(([room, allowed]) => [
  {
    target: `./src/${room}`,
    from: './src',
    except: [room, ...allowed, 'errors.ts', 'options.ts', 'world.ts'].map((path) => `./${path}`),
    message: `The room ${room} may import ${allowed.join(', ') || 'nothing'} besides errors, options and world.`,
  },
])

const ports = 'Time and chance come from the World (src/world.ts); only clock.ts reads the real ones.'

module.exports = {
  root: true,
  parser: '@typescript-eslint/parser',
  plugins: ['@typescript-eslint', 'import'],
  extends: ['eslint:recommended'],
  env: { node: true, es2022: true },
  parserOptions: { ecmaVersion: 2023, sourceType: 'module' },
  ignorePatterns: ['dist', 'node_modules', 'coverage'],
  rules: { 'no-undef': 'off', 'no-unused-vars': 'off', 'no-constant-condition': ['error', { checkLoops: false }] },
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
        ],
        'no-restricted-syntax': [
          'error',
          { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: ports },
        ],
      },
    },
    {
      files: ['src/clock.ts'],
      rules: {
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
