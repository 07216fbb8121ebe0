// Cookies that pages keep by themselves, named and marked by the same rule as the server's (app/web/cookies.py).

const SECURE = location.protocol === "https:";

const fullName = (name) => (SECURE ? `__Host-${name}` : name);

export function readCookie(name) {
  const start = `${fullName(name)}=`;
  const found = document.cookie.split("; ").find((each) => each.startsWith(start));
  return found?.slice(start.length);
}

export function writeCookie(name, value, maxAge) {
  document.cookie = `${fullName(name)}=${value}; Max-Age=${maxAge}; Path=/; SameSite=Lax${SECURE ? "; Secure" : ""}`;
}
