/** The texts of the first run, which come with its page. */
export const en = {
  text: 'A pipeline is a list of steps, each a shell script. This one needs no repository and no network.',
  choose: 'Begin with',
  samples: { hello: 'Hello', parallel: 'Steps in parallel', repository: 'From a repository' },
  run: 'Run it',
  name: 'Name',
  next: 'From TypeScript',
  nextText: 'The same from a program. Every call and every line is typed.',
};

export type WelcomeCatalogue = typeof en;
