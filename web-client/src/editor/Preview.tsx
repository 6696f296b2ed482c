import type { PlannedStep } from '@slipway/client';

import { Face, StepGraph } from '../components/StepGraph';
import { useEditorText } from '../text/editor';

interface Props {
  /** As the text was when nothing was wrong with it. */
  steps: readonly PlannedStep[];
  /** The text is another by now, and wrong. */
  isOld: boolean;
  onStep: (step: PlannedStep) => void;
}

/** What the definition would run, in which order. */
export function Preview({ steps, isOld, onStep }: Props) {
  const words = useEditorText();
  if (steps.length === 0) return <p className="p-4 text-text-2">{words.noPreview}</p>;
  return (
    <>
      {isOld && <p className="px-4 pt-3 text-text-2">{words.oldPreview}</p>}
      <StepGraph
        steps={steps}
        label={words.preview}
        current={null}
        onStep={onStep}
        face={({ name, needs, when }) => <Face name={name}>{words.plan[when](needs)}</Face>}
      />
    </>
  );
}
