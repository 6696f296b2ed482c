/** Without those that are mistaken for each other; 32 of them, so that each byte makes one, and all are as likely. */
const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789';
const GROUPS = 4;
const GROUP_CHARS = 5;

/** A password of 100 bits, in groups that can be read aloud. */
export function newPassword(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(GROUPS * GROUP_CHARS));
  const letters = Array.from(bytes, (byte) => ALPHABET[byte % ALPHABET.length]);
  return Array.from({ length: GROUPS }, (_, group) =>
    letters.slice(group * GROUP_CHARS, (group + 1) * GROUP_CHARS).join(''),
  ).join('-');
}
