// Before the first paint, so that nobody who chose dark sees white. A file, since the page's policy takes no script in it.
(function () {
  var chosen = null;
  try {
    chosen = localStorage.getItem('slipway.theme');
  } catch (_) {}
  var dark = chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  document.querySelector('meta[name=theme-color]').content = dark ? '#0d0f14' : '#ffffff';
})();
