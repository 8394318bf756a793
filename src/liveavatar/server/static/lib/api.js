// Talks to the server that the page came from, and to nothing else.

const RENEW_MS = 20 * 60 * 1000;

export class ApiError extends Error {
  constructor(status, { code = "lost", problem = "", remedy = "" } = {}) {
    super(problem);
    Object.assign(this, { status, code, problem, remedy });
  }
}

async function read(response) {
  if (response.status === 204) return null;
  const content = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(response.status, content.error);
  return content;
}

export async function call(method, path, body) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const options = { method, headers, body: body === undefined ? undefined : JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError(0);
  }
  if (response.status === 401 && path !== "/api/session") {
    await openSession();
    response = await fetch(path, options);
  }
  return read(response);
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);

// Starts a session and keeps it alive. Throws an ApiError with status 401 if the server asks for a token.
export async function openSession(token) {
  await call("POST", "/api/session", token ? { token } : {});
}

export function keepSession() {
  setInterval(() => openSession().catch(() => {}), RENEW_MS);
}

// Sends a file; `onprogress` gets the share that was sent. Returns { done, abort }.
export function upload(path, file, name, onprogress) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.open("POST", `${path}?name=${encodeURIComponent(name)}`);
    request.responseType = "json";
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => { if (event.lengthComputable) onprogress(event.loaded / event.total); };
    request.onload = () => {
      if (request.status < 300) resolve(request.response);
      else reject(new ApiError(request.status, request.response?.error));
    };
    request.onerror = () => reject(new ApiError(0));
    request.onabort = () => reject(new ApiError(0, { code: "stopped" }));
    request.send(file);
  });
  return { done, abort: () => request.abort() };
}

// Calls `onjob` with every job of this visitor, now and whenever one changes; `onlost` when the server is away.
export function watchJobs(onjob, onlost) {
  const source = new EventSource("/api/events");
  source.addEventListener("job", (event) => onjob(JSON.parse(event.data)));
  source.onopen = () => onlost(false);
  source.onerror = () => {
    onlost(true);
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(() => openSession().catch(() => {}).then(() => watchJobs(onjob, onlost)), 3000);
    }
  };
}
