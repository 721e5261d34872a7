"""libtorrent answers by alerts, one queue for everything. This hands each alert to those who wait for its kind."""

import contextlib
import queue
import sys
import threading


class Alerts:
    def __init__(self, session):
        self._session = session
        self._waiting = []
        self._lock = threading.Lock()
        threading.Thread(target=self._pump, daemon=True).start()

    def _pump(self):
        while True:
            self._session.wait_for_alert(1000)
            for alert in self._session.pop_alerts():
                with self._lock:
                    waiting = list(self._waiting)
                for kind, take in waiting:
                    if not isinstance(alert, kind):
                        continue
                    try:
                        take(alert)
                    except Exception as error:  # one alert that can not be read must not silence all later ones
                        print(f"{alert.what()}: {error!r}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def listen(self, kind, read, match=lambda alert: True):
        """A queue of what `read` makes of each alert of this kind. An alert dies with the next batch, so nothing of it
        may be kept as it is: that is why `read` runs in the pump."""
        found = queue.Queue()

        def take(alert):
            if match(alert):
                found.put(read(alert))

        with self._lock:
            self._waiting.append((kind, take))
        try:
            yield found
        finally:
            with self._lock:
                self._waiting.remove((kind, take))
