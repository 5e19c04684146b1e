/** A contender that cannot be loaded: reported as such, while the others are still measured. */
export class NotAvailable extends Error {}

/** @throws NotAvailable when the contender's file, or something it imports, cannot be loaded */
export async function loadContender(name) {
  try {
    return await import(`./contenders/${name}.mjs`)
  } catch (cause) {
    throw new NotAvailable(cause.message.split('\n')[0], { cause })
  }
}
