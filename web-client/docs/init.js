// In a file of its own, since the content security policy refuses scripts within the page.
// A request is tried out as the browser's own session, or with the access token that `Authorize` was given.

// As the system has it; Swagger UI's own switch is in the bar that this page does without.
const dark = window.matchMedia('(prefers-color-scheme: dark)');
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', follow);
follow();

window.addEventListener('load', () => {
  window.SwaggerUIBundle({
    url: '/openapi.json',
    dom_id: '#api',
    deepLinking: true,
    displayRequestDuration: true,
    // Nothing is asked of another host: neither whether the document is valid, nor another document.
    validatorUrl: null,
    queryConfigEnabled: false,
    // A token is forgotten with the page.
    persistAuthorization: false,
    tryItOutEnabled: false,
    defaultModelsExpandDepth: 0,
  });
});
