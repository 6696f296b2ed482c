import type { Pipeline, PlannedStep, Problem as DefinitionProblem } from '@slipway/client';
import { keepPreviousData, useMutation, useQuery } from '@tanstack/react-query';
import { useBlocker, useParams, useSearch } from '@tanstack/react-router';
import { useRef, useState } from 'react';

import { queryClient, trpc } from '../../api/client';
import { Editor, type EditorHandle } from '../../editor/Editor';
import { Preview } from '../../editor/Preview';
import { useText } from '../../text';
import { useEditorText } from '../../text/editor';
import { Button } from '../../ui/Button';
import { Empty, Skeleton } from '../../ui/Empty';
import { Problem } from '../../ui/Problem';
import { useDebounced } from '../../ui/debounced';

const LENGTH_MAX = 256 * 1024;

export function DefinitionPage() {
  const text = useText();
  const { slug } = useParams({ from: '/pipelines/$slug/definition' });
  const pipeline = useQuery(trpc.pipelines.get.queryOptions({ pipelineId: slug }));
  if (pipeline.data === undefined)
    return (
      <div className="p-4">
        <Problem error={pipeline.error} onRetry={() => void pipeline.refetch()} />
        {pipeline.isPending && <Skeleton rows={8} />}
      </div>
    );
  if (pipeline.data.definition === null) return <Empty>{text.pipeline.inRepository}</Empty>;
  return <Edit key={pipeline.data.id} pipeline={pipeline.data} definition={pipeline.data.definition} />;
}

function Edit({ pipeline, definition }: { pipeline: Pipeline; definition: string }) {
  const text = useText();
  const editor = useEditorText();
  const { line } = useSearch({ from: '/pipelines/$slug/definition' });
  const [draft, setDraft] = useState(definition);
  const [checked, setChecked] = useState(definition);
  const { setShown: setTyped } = useDebounced(checked, setChecked);
  const isTooLong = draft.length > LENGTH_MAX;
  const validation = useQuery(
    trpc.pipelines.validate.queryOptions(
      { definition: checked },
      { enabled: !isTooLong, placeholderData: keepPreviousData, staleTime: Infinity },
    ),
  );
  const update = useMutation(
    trpc.pipelines.update.mutationOptions({
      onSuccess: (changed) =>
        queryClient.setQueryData(trpc.pipelines.get.queryKey({ pipelineId: changed.name }), changed),
    }),
  );
  const isChanged = draft !== definition;
  useBlocker({ shouldBlockFn: () => isChanged && !confirm(editor.leave), enableBeforeUnload: () => isChanged });
  const problems: DefinitionProblem[] = validation.data?.problems ?? [];
  // What is being mended keeps its picture.
  const [planned, setPlanned] = useState<PlannedStep[]>([]);
  const steps = problems.length > 0 ? planned : (validation.data?.steps ?? planned);
  if (steps !== planned) setPlanned(steps);
  const lines = useRef<EditorHandle>(null);
  const [isPreview, setPreview] = useState(false);
  const canSave = isChanged && problems.length === 0 && !isTooLong;
  const save = () => {
    if (canSave && !update.isPending) update.mutate({ pipelineId: pipeline.id, definition: draft });
  };
  return (
    <div className="flex h-full flex-col">
      <div className="flex shrink-0 flex-wrap items-center gap-3 border-b border-border px-4 py-2">
        <h1 className="text-section">{editor.title}</h1>
        <p role="status" className={problems.length > 0 ? 'text-failed' : 'text-text-2'}>
          {isTooLong ? editor.tooLong : validation.data === undefined ? editor.checking : editor.problems(problems.length)}
        </p>
        <span className="flex-1" />
        <Button kind="quiet" aria-pressed={isPreview} className="lg:hidden!" onClick={() => setPreview(!isPreview)}>
          {editor.preview}
        </Button>
        <span className="text-text-2">{isChanged ? editor.unsaved : update.isSuccess ? text.actions.saved : ''}</span>
        <Button kind="primary" isBusy={update.isPending} disabled={!canSave} onClick={save}>
          {text.actions.save}
        </Button>
      </div>
      {update.error !== null && (
        <div className="px-4 pt-3">
          <Problem error={update.error} />
        </div>
      )}
      {/* Side by side, or on a narrow screen one of them. */}
      <div className="grid min-h-0 flex-1 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <div className={isPreview ? 'hidden min-h-0 lg:block' : 'min-h-0'}>
          <Editor
            ref={lines}
            value={definition}
            problems={problems}
            line={line}
            onSave={save}
            onChange={(next) => {
              setDraft(next);
              setTyped(next);
            }}
          />
        </div>
        <div className={`min-h-0 overflow-auto border-border bg-subtle lg:border-l ${isPreview ? '' : 'hidden lg:block'}`}>
          <Preview
            steps={steps}
            isOld={problems.length > 0}
            onStep={({ line: at }) => {
              setPreview(false);
              requestAnimationFrame(() => lines.current?.goTo(at));
            }}
          />
        </div>
      </div>
      {problems.length > 0 && (
        <ul className="max-h-40 shrink-0 overflow-auto border-t border-border bg-subtle px-4 py-2">
          {problems.map(({ line: at, column, message, expected }, index) => (
            <li key={index} className="flex gap-3 py-0.5">
              <code className="text-meta text-text-2">
                {at}:{column}
              </code>
              <span className="wrap-anywhere">
                {message} <span className="text-text-2">{editor.expected(expected)}</span>
              </span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
