import { createRootRoute, createRoute, createRouter, redirect } from '@tanstack/react-router';

import { queryClient, trpc } from './api/client';
import { runIdOptions } from './api/runs';
import {
  auditSearch,
  peopleSearch,
  pipelinesSearch,
  queuesSearch,
  runNumber,
  runSearch,
  runsSearch,
  signInSearch,
} from './search';
import { Broken } from './shell/Broken';
import { lazyPage } from './shell/lazy-page';
import { NoPage, Shell } from './shell/Shell';

const root = createRootRoute({ component: Shell, notFoundComponent: NoPage });

const home = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: async () => {
    const { items } = await queryClient.fetchQuery(trpc.pipelines.list.queryOptions({ limit: 100 })).catch(() => ({
      items: null,
    }));
    // Where it cannot be asked, the page of the pipelines says why.
    throw redirect({ to: items?.length === 0 ? '/welcome' : '/pipelines', replace: true });
  },
});

const welcome = createRoute({
  getParentRoute: () => root,
  path: '/welcome',
  component: lazyPage(() => import('./pages/welcome/WelcomePage'), 'WelcomePage'),
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: signInSearch,
  component: lazyPage(() => import('./pages/sign-in/SignInPage'), 'SignInPage'),
});

const pipelines = createRoute({
  getParentRoute: () => root,
  path: '/pipelines',
  validateSearch: pipelinesSearch,
  component: lazyPage(() => import('./pages/pipelines/PipelinesPage'), 'PipelinesPage'),
});

const pipeline = createRoute({
  getParentRoute: () => root,
  path: '/pipelines/$slug',
  validateSearch: runsSearch,
  component: lazyPage(() => import('./pages/pipelines/PipelinePage'), 'PipelinePage'),
});

const definition = createRoute({
  getParentRoute: () => root,
  path: '/pipelines/$slug/definition',
  validateSearch: (search: Record<string, unknown>): { line?: number } => {
    const line = Number(search['line']);
    return Number.isSafeInteger(line) && line > 0 ? { line } : {};
  },
  component: lazyPage(() => import('./pages/pipelines/DefinitionPage'), 'DefinitionPage'),
});

const pipelineSettings = createRoute({
  getParentRoute: () => root,
  path: '/pipelines/$slug/settings',
  component: lazyPage(() => import('./pages/pipelines/PipelineSettingsPage'), 'PipelineSettingsPage'),
});

const run = createRoute({
  getParentRoute: () => root,
  path: '/pipelines/$slug/runs/$number',
  validateSearch: runSearch,
  // Asked for while the page's code is still on its way; the page itself says what comes of it.
  loader: ({ params: { slug, number } }) => {
    const wanted = runNumber(number);
    if (wanted !== null) void queryClient.prefetchQuery(runIdOptions(slug, wanted));
  },
  component: lazyPage(() => import('./pages/run/RunPage'), 'RunPage'),
});

const runById = createRoute({
  getParentRoute: () => root,
  path: '/r/$runId',
  component: lazyPage(() => import('./pages/run/RunById'), 'RunById'),
});

const runs = createRoute({
  getParentRoute: () => root,
  path: '/runs',
  validateSearch: runsSearch,
  component: lazyPage(() => import('./pages/runs/RunsPage'), 'RunsPage'),
});

const queues = createRoute({
  getParentRoute: () => root,
  path: '/queues',
  validateSearch: queuesSearch,
  component: lazyPage(() => import('./pages/queues/QueuesPage'), 'QueuesPage'),
});

const settingsPages = () => import('./pages/settings/pages');

const settings = createRoute({
  getParentRoute: () => root,
  path: '/settings',
  beforeLoad: ({ location }) => {
    if (location.pathname === '/settings') throw redirect({ to: '/settings/account', replace: true });
  },
  component: lazyPage(settingsPages, 'SettingsPage'),
});

const account = createRoute({
  getParentRoute: () => settings,
  path: 'account',
  component: lazyPage(settingsPages, 'AccountPage'),
});

const people = createRoute({
  getParentRoute: () => settings,
  path: 'people',
  validateSearch: peopleSearch,
  component: lazyPage(settingsPages, 'PeoplePage'),
});

const person = createRoute({
  getParentRoute: () => settings,
  path: 'people/$person',
  component: lazyPage(settingsPages, 'PersonPage'),
});

const secrets = createRoute({
  getParentRoute: () => settings,
  path: 'secrets',
  component: lazyPage(settingsPages, 'SecretsPage'),
});

const audit = createRoute({
  getParentRoute: () => settings,
  path: 'audit',
  validateSearch: auditSearch,
  component: lazyPage(settingsPages, 'AuditPage'),
});

const tokens = createRoute({
  getParentRoute: () => settings,
  path: 'tokens',
  validateSearch: (search: Record<string, unknown>): { create?: 1 } =>
    Number(search['create']) === 1 ? { create: 1 } : {},
  component: lazyPage(settingsPages, 'TokensPage'),
});

const appearance = createRoute({
  getParentRoute: () => settings,
  path: 'appearance',
  component: lazyPage(settingsPages, 'AppearancePage'),
});

const about = createRoute({
  getParentRoute: () => settings,
  path: 'about',
  component: lazyPage(settingsPages, 'AboutPage'),
});

export const router = createRouter({
  routeTree: root.addChildren([
    home,
    welcome,
    signIn,
    pipelines,
    pipeline,
    definition,
    pipelineSettings,
    run,
    runById,
    runs,
    queues,
    settings.addChildren([account, people, person, secrets, audit, tokens, appearance, about]),
  ]),
  defaultPreload: 'intent',
  defaultErrorComponent: Broken,
  // A log has its own.
  scrollRestoration: ({ location }) => !location.pathname.includes('/runs/'),
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}

