import { testSeeds } from './test-seeds.js'

testSeeds(10_001, 10_000)
