// The connection: requests with answers, and pictures of the network as they come. It mends itself.

const KEPT = "chainrule-session";
const LONGEST_WAIT = 5000; // milliseconds between two attempts

export class Wire {
  constructor(handlers) {
    this.handlers = handlers;
    this.waiting = new Map();
    this.count = 0;
    this.wait = 250;
    this.session = "";
  }

  /** Connect, to the session that this tab had before if there is one. */
  open() {
    const name = sessionStorage.getItem(KEPT) ?? "new";
    const address = new URL(`ws/${name}`, location.href.split("#")[0]);
    address.protocol = "ws:";
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.addEventListener("message", (event) => this.receive(event.data));
    this.socket.addEventListener("close", () => this.closed());
  }

  closed() {
    for (const { reject } of this.waiting.values()) reject(new Error("The connection was lost."));
    this.waiting.clear();
    this.handlers.offline?.();
    window.setTimeout(() => this.open(), this.wait);
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
  }

  receive(data) {
    const message = typeof data === "string" ? JSON.parse(data) : unpack(data);
    if (message.kind === "hello") {
      this.session = message.session;
      this.wait = 250;
      sessionStorage.setItem(KEPT, message.session);
    }
    const request = this.waiting.get(message.re);
    if (request) {
      this.waiting.delete(message.re);
      if (message.error) request.reject(new Error(message.error));
      else request.resolve(message);
      return;
    }
    this.handlers[message.kind]?.(message);
  }

  /** Ask for something; the promise holds the answer. */
  ask(what, facts = {}) {
    if (this.socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Error("There is no connection."));
    const id = ++this.count;
    const answer = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    this.socket.send(JSON.stringify({ do: what, id, ...facts }));
    return answer;
  }

  /** Say that a picture has been drawn. */
  seen() {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send('{"do":"seen"}');
  }

  /** Hand over a file. */
  async upload(file) {
    const response = await fetch(`s/${this.session}/data`, {
      method: "POST",
      body: file,
      headers: { "Content-Type": "application/octet-stream" },
    });
    if (!response.ok) {
      const text = await response.text();
      throw new Error(text.startsWith("{") ? JSON.parse(text).error : text);
    }
  }
}

/** Take a binary message apart: its header, and its blobs as arrays of bytes. */
function unpack(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const blobs = {};
  for (const [name, [at, length]] of Object.entries(header.blobs)) {
    blobs[name] = new Uint8Array(buffer, 4 + size + at, length);
  }
  return { ...header, blobs };
}

/** A blob as numbers of four bytes. */
export function floats(blob) {
  return blob ? new Float32Array(blob.buffer, blob.byteOffset, blob.byteLength / 4) : new Float32Array(0);
}

/** A blob as whole numbers of four bytes. */
export function wholes(blob) {
  return new Int32Array(blob.buffer, blob.byteOffset, blob.byteLength / 4);
}
