import type { RunState } from '@slipway/client';

import { trpc, words } from './client.js';
import { button, element, link, long, statusText, table, time } from './elements.js';
import { LogView } from './log.js';

/** A page on the screen, and how to end what it has open. */
export interface Page {
  title: string;
  nodes: Node[];
  close?: () => void;
}

const RUNS_SHOWN = 20;

function problems(): HTMLElement {
  return element('p', { class: 'problem', role: 'alert' });
}

/** A button whose failure is told beside it. */
function action(text: string, alert: HTMLElement, act: () => Promise<void>): HTMLButtonElement {
  return button(text, async () => {
    alert.textContent = '';
    try {
      await act();
    } catch (error) {
      alert.textContent = words(error);
    }
  });
}

export async function pipelinesPage(): Promise<Page> {
  const { items, nextCursor } = await trpc.pipelines.list.query({ limit: 100 });
  const alert = problems();
  const rows = items.map((pipeline) => [
    long(link(`#/pipelines/${pipeline.id}`, pipeline.name)),
    long(pipeline.repository ?? '–'),
    action('Trigger', alert, async () => {
      const run = await trpc.pipelines.trigger.mutate({ pipelineId: pipeline.id });
      window.location.hash = `#/runs/${run.id}`;
    }),
  ]);
  const nodes: Node[] = [element('h2', {}, 'Pipelines'), alert];
  if (rows.length === 0)
    nodes.push(
      element(
        'p',
        { class: 'quiet' },
        'There is none yet. Make the first one here, or on the command line with ',
        element('code', {}, 'slipway pipeline create NAME --file pipeline.yml'),
        '.',
      ),
    );
  else nodes.push(table('Pipelines', ['Name', 'Repository', 'Action'], rows));
  if (nextCursor !== null) nodes.push(element('p', { class: 'quiet' }, 'The first hundred, by name.'));
  nodes.push(creation(rows.length === 0));
  return { title: 'Pipelines', nodes };
}

function creation(open: boolean): HTMLElement {
  const alert = problems();
  const name = element('input', { name: 'name', required: '', autocomplete: 'off' });
  const repository = element('input', { name: 'repository', autocomplete: 'off', placeholder: 'none' });
  const definition = element('textarea', { name: 'definition', spellcheck: 'false' });
  definition.value = 'steps:\n  - name: hello\n    run: echo hello\n';
  const submit = element('button', { type: 'submit' }, 'Create');
  const form = element(
    'form',
    {},
    element('label', {}, 'Name', name),
    element('label', {}, 'Git repository', repository),
    element('label', {}, 'Definition (empty: .slipway.yml of the repository)', definition),
    alert,
    submit,
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit.disabled = true;
    alert.textContent = '';
    trpc.pipelines.create
      .mutate({
        name: name.value,
        repository: repository.value.trim() || null,
        definition: definition.value.trim() ? definition.value : null,
      })
      .then((pipeline) => {
        window.location.hash = `#/pipelines/${pipeline.id}`;
      })
      .catch((error: unknown) => {
        alert.textContent = words(error);
      })
      .finally(() => {
        submit.disabled = false;
      });
  });
  return element('details', open ? { open: '' } : {}, element('summary', {}, 'New pipeline'), form);
}

export async function pipelinePage(pipelineId: string): Promise<Page> {
  const [pipeline, runs] = await Promise.all([
    trpc.pipelines.get.query({ pipelineId }),
    trpc.runs.list.query({ pipelineId, limit: RUNS_SHOWN }),
  ]);
  const alert = problems();
  const branch = element('input', {
    name: 'branch',
    placeholder: pipeline.defaultBranch ?? 'default branch',
  });
  const trigger = action('Trigger', alert, async () => {
    const run = await trpc.pipelines.trigger.mutate({ pipelineId, branch: branch.value.trim() || null });
    window.location.hash = `#/runs/${run.id}`;
  });
  const rows = runs.items.map((run) => [
    link(`#/runs/${run.id}`, `#${run.number}`),
    statusText(run.status),
    long(run.branch ?? '–'),
    run.trigger.by,
    time(run.createdAt),
  ]);
  return {
    title: pipeline.name,
    nodes: [
      element('h2', {}, pipeline.name),
      element('p', { class: 'quiet' }, pipeline.description ?? pipeline.repository ?? ''),
      element('label', {}, 'Branch', branch),
      trigger,
      alert,
      element('h3', {}, 'Latest runs'),
      rows.length === 0
        ? element('p', { class: 'quiet' }, 'There is none yet.')
        : table('Latest runs', ['Run', 'Status', 'Branch', 'By', 'Triggered'], rows),
    ],
  };
}

export async function runPage(runId: string): Promise<Page> {
  const run = await trpc.runs.get.query({ runId });
  const alert = problems();
  const state = element('div');
  const log = new LogView();
  // By number, so that nothing comes twice when the run is tried again and the log goes on.
  let seen = 0;

  const follow = () => [
    trpc.pipelines.watchRun.subscribe(
      { runId },
      { onData: (now) => show(now), onError: (error) => tell(error) },
    ),
    trpc.pipelines.streamLogs.subscribe(
      { runId, after: seen },
      {
        onData: (line) => {
          if (line.n <= seen) return;
          seen = line.n;
          log.add(line);
        },
        onError: (error) => tell(error),
      },
    ),
  ];
  const tell = (error: unknown) => {
    alert.textContent = words(error);
  };
  const cancel = action('Cancel', alert, async () => {
    await trpc.runs.cancel.mutate({ runId });
  });
  const retry = (text: string, from: 'failed' | 'start') =>
    action(text, alert, async () => {
      await trpc.runs.retry.mutate({ runId, from });
      for (const subscription of subscriptions) subscription.unsubscribe();
      subscriptions = follow();
    });
  const retries = [retry('Retry what failed', 'failed'), retry('Run again', 'start')];
  const show = (now: RunState) => {
    state.replaceChildren(...stateNodes(now));
    const ended =
      now.finishedAt !== null && !['queued', 'waiting', 'running', 'canceling'].includes(now.status);
    cancel.hidden = ended;
    for (const each of retries) each.hidden = !ended;
  };
  let subscriptions = follow();

  return {
    title: `${run.pipelineName} #${run.number}`,
    nodes: [
      element('h2', {}, link(`#/pipelines/${run.pipelineId}`, run.pipelineName), ` #${run.number}`),
      state,
      element('p', { class: 'actions' }, cancel, ...retries),
      alert,
      log.node,
    ],
    close: () => {
      for (const subscription of subscriptions) subscription.unsubscribe();
    },
  };
}

function stateNodes(now: RunState): Node[] {
  const bar = element('progress', { max: '100', 'aria-label': 'Progress' });
  bar.value = now.progress;
  const nodes: Node[] = [
    element(
      'p',
      { role: 'status' },
      statusText(now.status),
      ` ${now.progress}% `,
      bar,
      ` attempt ${now.attempt}`,
    ),
  ];
  if (now.reason !== null) nodes.push(element('p', { class: 'quiet' }, now.reason));
  if (now.error !== null) nodes.push(element('p', { class: 'problem' }, now.error));
  if (now.nextAttemptAt !== null) nodes.push(element('p', {}, 'Next attempt: ', time(now.nextAttemptAt)));
  if (now.steps.length > 0) {
    const rows = now.steps.map((step) => [
      long(step.name),
      statusText(step.status),
      step.exitCode === null ? '–' : String(step.exitCode),
      step.reason ?? '',
    ]);
    nodes.push(table('Steps', ['Step', 'Status', 'Exit code', 'Reason'], rows));
  }
  return nodes;
}
