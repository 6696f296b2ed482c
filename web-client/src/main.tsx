import './styles/app.css';

import { CSPProvider } from '@base-ui/react/csp-provider';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { build } from './api/build';
import { queryClient } from './api/client';
import { connection } from './api/connection';
import { session } from './api/session';
import { router } from './router';
import { applyLook } from './settings';
import { TextProvider } from './text';

const root = document.getElementById('root');
if (root === null) throw new Error('the page has no #root');

applyLook();
connection.watch();
build.watch();
session.onEnd = () => {
  const { pathname, href } = router.state.location;
  if (pathname !== '/sign-in') void router.navigate({ to: '/sign-in', search: { next: href }, replace: true });
};

// What the page is made of is asked for before its frame is drawn, which takes as long.
void router.load();
setTimeout(() => {
  createRoot(root).render(
    <StrictMode>
      {/* The page's policy refuses style elements; the two rules that are lost stand in our style sheet. */}
      <CSPProvider disableStyleElements>
        <QueryClientProvider client={queryClient}>
          <TextProvider>
            <RouterProvider router={router} />
          </TextProvider>
        </QueryClientProvider>
      </CSPProvider>
    </StrictMode>,
  );
});
