/** Works for so many µs. */
export function spin(us) {
  if (us === 0) return
  const end = performance.now() + us / 1_000
  while (performance.now() < end);
}
