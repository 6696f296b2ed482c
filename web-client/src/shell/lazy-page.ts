import type { AsyncRouteComponent } from '@tanstack/react-router';
import { createElement, use, type ComponentType } from 'react';

/**
 * A page with a file of its own. Where that cannot be had, the router's own would load the document anew, which throws
 * away what is shown while the server is away.
 */
export function lazyPage<K extends string>(
  load: () => Promise<Record<K, ComponentType>>,
  name: K,
): AsyncRouteComponent<object> {
  let loading: Promise<ComponentType> | undefined;
  let loaded: ComponentType | undefined;
  let hasFailed = false;
  const begin = () => {
    hasFailed = false;
    return load().then(
      (file) => (loaded = file[name]),
      (error: unknown) => {
        hasFailed = true;
        throw error;
      },
    );
  };
  // Of what is there, nothing is awaited: React would show a fallback first, and the page 0.3 s after that.
  const Page = () => createElement(loaded ?? use((loading ??= begin())));
  // The router asks for it before it draws the page, and again when somebody comes back to it.
  const preload = async () => {
    if (hasFailed) loading = undefined;
    await (loading ??= begin()).catch(() => undefined);
  };
  return Object.assign(Page, { preload });
}
