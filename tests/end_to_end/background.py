"""One asyncio loop on a thread of its own, where the proxy and the scripted cloud live; tests stay plain functions."""

import asyncio
import threading


class Background:
    """Owned by a test's World. run() is for the test's thread, everything else for the loop's. `enter` is called on the
    loop's thread before the loop runs: it moves the thread into a network namespace."""

    def __init__(self, enter=None):
        self.loop = asyncio.new_event_loop()
        self._enter = enter
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)
        self._thread.start()

    def _run(self):
        if self._enter:
            self._enter()
        self.loop.run_forever()

    def run(self, coroutine, limit=20):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(limit)

    def call(self, function, *arguments):
        async def once():
            return function(*arguments)
        return self.run(once())

    def close(self):
        async def cancel_all():
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        try:
            self.run(cancel_all())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(10)
            if not self._thread.is_alive():
                self.loop.close()
