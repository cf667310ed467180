// The socket to the gateway: comes back by itself, waiting longer each time, up to ten seconds.
const LONGEST_MS = 10_000;
const SILENT_MS = 6000; // the gateway says something every two seconds
const TRY_AGAIN_LATER = 1013;

export function connect(onMessage, onState) {
  let failures = 0;
  let socket = null;
  let again = 0;
  let silence = 0;

  function open() {
    drop();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}/ws`);
    listen();
    socket.onmessage = (message) => {
      failures = 0;
      listen();
      onState("live", "live");
      onMessage(JSON.parse(message.data));
    };
    socket.onclose = (close) => {
      lose(close.code === TRY_AGAIN_LATER ? close.reason : "gateway lost, trying again");
    };
  }

  function listen() {
    clearTimeout(silence);
    silence = setTimeout(() => lose("gateway silent, trying again"), SILENT_MS);
  }

  function lose(why) {
    drop();
    onState("lost", why);
    const wait = Math.min(LONGEST_MS, 500 * 2 ** failures++) * (0.75 + Math.random() / 2);
    again = setTimeout(open, wait);
  }

  // One that is cut off may take minutes to close: nobody waits for it.
  function drop() {
    clearTimeout(again);
    clearTimeout(silence);
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
    socket = null;
  }

  window.addEventListener("online", open);
  onState("connecting", "connecting");
  open();
}
