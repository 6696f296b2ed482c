/** Draws beside the scrollbar where in the log something was found: each mark as dark as there is much. */
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
