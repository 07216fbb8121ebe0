"""A host whose names are no text: a proxy before its libvirt socket that replaces a word in all replies."""

import socket
import threading
from contextlib import suppress
from pathlib import Path


class Garbler:
    """Listens at `path` and passes all on to `real`; `word` in replies becomes undecodable bytes of its length.

    The word must not be cut in two by a read: libvirt writes each reply at once, so short ones are not.
    """

    def __init__(self, path: Path, real: Path, word: str) -> None:
        self.path = path
        self.on = True
        self._real, self._word = real, word.encode()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        for item in self._open:
            with suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
            item.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._real))
                self._open += [client, server]
                threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, is_reply: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 20):
                if is_reply and self.on:
                    data = data.replace(self._word, b"\xe9" * len(self._word))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
