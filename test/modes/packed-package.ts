/** Packs and installs the package once, for all modes. */
import type { TestProject } from 'vitest/node'
import { installPackage } from '../programs/installed-package.js'

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const installed = await installPackage()
  project.provide('packedPackage', installed.folder)
  return () => installed.remove()
}

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder where the packed package is installed. */
    packedPackage: string
  }
}
