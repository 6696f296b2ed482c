/** The texts of the sign-in page, which come with it. */
export const en = {
  title: 'Sign in',
  text: 'Open the one-time link that the server prints when it starts, in this browser.',
  again: 'I have signed in',
  name: 'Name',
  password: 'Password',
  enter: 'Sign in',
  wrong: 'Wrong name or password.',
  throttled: 'Too many attempts. Try again in some minutes.',
  notNow: 'Signing in is not possible at the moment. Try again.',
  by: (name: string) => `Sign in with ${name}`,
  problems: {
    fields: 'Enter a name and a password.',
    stale: 'This sign-in was begun in another browser or tab, or too long ago. Begin again, and allow cookies.',
    wrong: 'Wrong name or password.',
    foreign: 'A sign-in must come from this page. Try again here.',
    off: 'Single sign-on is not set up here. Sign in with your password.',
    denied: 'The sign-in was not completed at the provider. Begin again.',
    throttled: 'Too many attempts. Try again in some minutes.',
    away: 'Signing in is not possible at the moment. Try again.',
    unproved: 'What the provider sent does not prove who you are. Begin again; an administrator finds the reason in the audit trail.',
    unknown: 'You have no account here. Ask an administrator for one.',
    disabled: 'Your account here is disabled. Ask an administrator to enable it.',
    email: 'Only people with a verified address of certain domains may sign in. Ask an administrator which.',
  },
  linkTitle: 'With a one-time link',
  signedOut: 'You are signed out.',
  ended: 'Your session has ended, or this browser has none.',
};

export type SignInCatalogue = typeof en;
