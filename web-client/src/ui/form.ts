import { isClientError } from '@slipway/client';
import { useEffect, useRef } from 'react';

import { explain } from '../api/errors';
import { useText } from '../text';

/**
 * What the server found wrong with which field of a form. The first of them is gone to; what is about none of `fields` is
 * to be said below the form, as a `Problem`.
 */
export function useFormProblems(error: unknown, fields: readonly string[]) {
  const text = useText();
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (error !== null && !focusFirstWrong(form.current)) form.current?.querySelector('[role=alert]')?.scrollIntoView({ block: 'nearest' });
  }, [error]);
  const found: { field: string; words: string }[] = [];
  if (isClientError(error)) {
    for (const { field, message } of error.data?.problems ?? []) found.push({ field, words: message });
    const { field, words } = explain(error, text);
    if (field !== null && found.length === 0) found.push({ field, words });
  }
  const of = (field: string) => found.findLast((problem) => isWithin(problem.field, field))?.words ?? null;
  const isOther = error !== null && fields.every((field) => of(field) === null);
  return { form, of, other: isOther ? error : null };
}

/** `branches[2]` is said at `branches`. */
function isWithin(path: string, field: string): boolean {
  return path === field || (path.startsWith(field) && /^\W/.test(path.slice(field.length)));
}

/** Once what is wrong is marked; whether anything is. */
export function focusFirstWrong(form: HTMLFormElement | null): boolean {
  const field = form?.querySelector<HTMLElement>('[aria-invalid=true]');
  field?.focus();
  return field instanceof HTMLElement;
}
