/** Also where a page has no clipboard of its own, as on plain HTTP from another machine. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard !== undefined) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const put = (event: ClipboardEvent) => {
    event.clipboardData?.setData('text/plain', text);
    event.preventDefault();
  };
  document.addEventListener('copy', put, { once: true, capture: true });
  try {
    if (!document.execCommand('copy')) throw new Error('the browser does not let this page copy');
  } finally {
    document.removeEventListener('copy', put, { capture: true });
  }
}
