import { trpc, words } from './client.js';
import { element } from './elements.js';
import { pipelinePage, pipelinesPage, runPage, type Page } from './pages.js';

const HEALTH_EVERY_MS = 30_000;

const main = place('main');
const health = place('health');
let current: Page | undefined;
/** Counts navigations, so that a slow page does not replace the one that was asked for after it. */
let navigation = 0;

function place(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

async function open(hash: string): Promise<Page> {
  const [kind, id] = hash.replace(/^#\//, '').split('/');
  if (kind === 'runs' && id) return await runPage(decodeURIComponent(id));
  if (kind === 'pipelines' && id) return await pipelinePage(decodeURIComponent(id));
  return await pipelinesPage();
}

async function navigate(): Promise<void> {
  navigation += 1;
  const mine = navigation;
  current?.close?.();
  current = undefined;
  main.setAttribute('aria-busy', 'true');
  const page = await open(window.location.hash).catch((error: unknown): Page => {
    return { title: 'Slipway', nodes: [element('p', { class: 'problem', role: 'alert' }, words(error))] };
  });
  if (mine !== navigation) {
    page.close?.();
    return;
  }
  current = page;
  document.title = `${page.title} · Slipway`;
  main.replaceChildren(...page.nodes);
  main.removeAttribute('aria-busy');
  main.focus();
}

async function showHealth(): Promise<void> {
  try {
    const { status, version, queue } = await trpc.system.health.query();
    const workers = queue.workers === 1 ? '1 worker' : `${queue.workers} workers`;
    health.textContent = `${status} · ${workers} · ${queue.waiting} waiting · ${version}`;
  } catch (error) {
    health.textContent = words(error);
  }
}

window.addEventListener('hashchange', () => void navigate());
window.setInterval(() => void showHealth(), HEALTH_EVERY_MS);
void navigate();
void showHealth();
