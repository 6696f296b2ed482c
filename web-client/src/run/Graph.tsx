import { Face, StepGraph } from '../components/StepGraph';
import { useText } from '../text';
import { StatusIcon } from '../ui/StatusIcon';
import { Duration } from '../ui/Time';
import { criticalPath } from './critical';
import type { StepsProps } from './Steps';

/** The steps of a run and what they need, with how they stand. */
export function Graph({ run, current, onStep }: StepsProps) {
  const text = useText();
  if (run.steps.length === 0) return <p className="p-4 text-text-2">{text.run.noSteps}</p>;
  return (
    <StepGraph
      steps={run.steps}
      label={text.run.graph}
      direction="right"
      critical={criticalPath(run.steps)}
      current={current}
      onStep={({ name }) => onStep(name)}
      face={({ name, status, startedAt, finishedAt }) => (
        <>
          <StatusIcon status={status} />
          <Face name={name}>{startedAt === null ? text.status[status] : <Duration from={startedAt} to={finishedAt} />}</Face>
        </>
      )}
    />
  );
}
