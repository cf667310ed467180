// What each unit's gossip refused, dropped and lost: asked for while somebody looks.
const PERIOD_MS = 5000;
const SOON_MS = 500;
const PATIENCE_MS = 4000;

// `looked()` says whether the page is live and seen; `take` is given the counts by unit.
export function watchHealth(take, looked) {
  async function turn() {
    const looking = looked();
    if (looking) {
      try {
        const signal = AbortSignal.timeout(PATIENCE_MS);
        take(await (await fetch("/api/counts", { priority: "low", signal })).json());
      } catch { /* the page says itself that it is cut off; this comes again */ }
    }
    setTimeout(turn, looking ? PERIOD_MS : SOON_MS);
  }
  turn();
}
