// Marks beside the scrollbar: how much was found in each of equal parts of a log.

/** The part with a mark that is nearest to a place; null where none is near. */
export function nearest(marks: readonly number[], place: number, near: number): number | null {
  let best: number | null = null;
  let distance = Infinity;
  for (let part = Math.max(0, Math.floor(place - near - 1)); part <= Math.min(marks.length - 1, Math.ceil(place + near)); part += 1) {
    const far = Math.abs(part + 0.5 - place);
    if ((marks[part] ?? 0) === 0 || far > near + 0.5 || far >= distance) continue;
    best = part;
    distance = far;
  }
  return best;
}

/** Each mark as dark as there is much. */
export function drawMarks(canvas: HTMLCanvasElement, marks: readonly number[]): void {
  const { clientWidth, clientHeight } = canvas;
  const ratio = window.devicePixelRatio;
  canvas.width = Math.max(1, Math.round(clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(clientHeight * ratio));
  const context = canvas.getContext('2d');
  if (context === null || marks.length === 0) return;
  const most = marks.reduce((max, mark) => Math.max(max, mark), 1);
  context.fillStyle = getComputedStyle(canvas).color;
  const height = Math.max(2 * ratio, canvas.height / marks.length);
  marks.forEach((mark, part) => {
    if (mark === 0) return;
    context.globalAlpha = 0.45 + 0.55 * (mark / most);
    context.fillRect(0, (part / marks.length) * canvas.height, canvas.width, height);
  });
}
