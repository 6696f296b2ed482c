interface Step {
  name: string;
  run: string;
  needs?: string[];
  when?: 'success' | 'failure' | 'always';
  env?: Record<string, string>;
  timeout?: string;
  retry?: { attempts: number; delay?: string };
  tty?: boolean;
  limits?: { memory?: string; processes?: number; files?: number; file_size?: string; cpu_time?: string };
}

interface Options {
  retry?: { attempts: number; delay?: string };
  timeout?: string;
  env?: Record<string, string>;
}

/** A definition as text: JSON, which is YAML. Tried once only, unless the test asks for more. */
export function definition(steps: Step[], options: Options = {}): string {
  return JSON.stringify({ retry: { attempts: 1 }, ...options, steps }, undefined, 2);
}

/** A definition of one step. */
export function script(run: string, options: Options = {}): string {
  return definition([{ name: 'work', run }], options);
}
