// The socket to the gateway: comes back by itself, waiting longer each time, up to ten seconds.
const LONGEST_MS = 10_000;
const TRY_AGAIN_LATER = 1013;

export function connect(onMessage, onState) {
  let failures = 0;
  let timer = 0;

  function open() {
    clearTimeout(timer);
    onState("connecting", failures ? "reconnecting" : "connecting");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws`);
    socket.addEventListener("message", (message) => {
      failures = 0;
      onState("live", "live");
      onMessage(JSON.parse(message.data));
    });
    socket.addEventListener("close", (close) => {
      const wait = Math.min(LONGEST_MS, 500 * 2 ** failures++) * (0.75 + Math.random() / 2);
      const full = close.code === TRY_AGAIN_LATER;
      onState("lost", full ? close.reason : "gateway lost, trying again");
      timer = setTimeout(open, wait);
    });
  }
  window.addEventListener("online", open);
  open();
}
