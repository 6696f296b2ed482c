import { useEffect, useRef, type MouseEvent } from 'react';

import { useText } from '../text';
import { drawMarks, nearest } from './marks';
import type { Fault } from './segments';

/** A click so near to a mark is meant for it. */
const NEAR_PIXELS = 8;

/** Beside the scrollbar: where in the log something was found, each mark as dark as there is much. A click leads there. */
export function HitMarks({ marks, onPart }: { marks: readonly number[]; onPart: (part: number) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (canvas.current !== null) drawMarks(canvas.current, marks);
  });
  const click = ({ currentTarget, clientY }: MouseEvent<HTMLCanvasElement>) => {
    const { top, height } = currentTarget.getBoundingClientRect();
    const part = nearest(marks, ((clientY - top) / height) * marks.length, (NEAR_PIXELS / height) * marks.length);
    if (part !== null) onPart(part);
  };
  // The keys `n` and `N`, and the buttons of the search, do the same.
  return <canvas ref={canvas} aria-hidden className="log-marks log-hits" onClick={click} />;
}

/** Beside the scrollbar: the errors of steps that went wrong. */
export function FaultMarks({ faults, total, onGo }: { faults: readonly Fault[]; total: number; onGo: (fault: Fault) => void }) {
  const text = useText();
  return (
    <ul aria-label={text.log.errors} className="log-marks log-faults">
      {faults.map((fault) => (
        <li key={fault.id} style={{ top: `${(100 * (fault.n - 1)) / Math.max(1, total)}%` }}>
          <button type="button" title={text.log.errorIn(fault.step, fault.n)} aria-label={text.log.errorIn(fault.step, fault.n)} onClick={() => onGo(fault)} />
        </li>
      ))}
    </ul>
  );
}
