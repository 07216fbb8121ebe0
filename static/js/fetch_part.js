// Requests for parts of a page that are not htmx's own. They name the open page as htmx does, so that the sign-in
// page leads back to it.

// Fetch a part of our own pages; undefined once the browser is on its way to the sign-in page.
export async function fetchPart(url, options = {}) {
  const headers = { "HX-Request": "true", "HX-Current-URL": location.href };
  const answer = await fetch(url, { ...options, headers });
  const elsewhere = answer.headers.get("HX-Redirect");
  if (!elsewhere) return answer;
  location.assign(elsewhere);
  return undefined;
}
