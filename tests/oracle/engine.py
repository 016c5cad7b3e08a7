"""libbamba through ctypes: include/bamba.h as far as the comparison needs it."""
import ctypes as ct

import numpy as np

TYPES = {"default": 0, "F32": 1, "BF16": 2, "F16": 3}


class Allocator(ct.Structure):
    _fields_ = [("allocate", ct.c_void_p), ("release", ct.c_void_p), ("context", ct.c_void_p)]


class Error(ct.Structure):
    _fields_ = [("code", ct.c_int), ("message", ct.c_char * 252)]


class ModelOptions(ct.Structure):
    _fields_ = [("struct_bytes", ct.c_size_t), ("weight_type", ct.c_int), ("kv_type", ct.c_int),
                ("cpu", ct.c_char_p), ("allocator", Allocator), ("progress", ct.c_void_p),
                ("progress_context", ct.c_void_p), ("log", ct.c_void_p),
                ("log_context", ct.c_void_p), ("n_threads", ct.c_int), ("compute_type", ct.c_int),
                ("copy_weights", ct.c_int)]


class ModelInfo(ct.Structure):
    _fields_ = [("struct_bytes", ct.c_size_t), ("architecture", ct.c_char_p), ("cpu", ct.c_char_p),
                ("weight_type", ct.c_int), ("kv_type", ct.c_int), ("n_vocab", ct.c_int),
                ("n_layers", ct.c_int), ("n_context", ct.c_int), ("d_model", ct.c_int),
                ("n_eos", ct.c_int), ("eos", ct.POINTER(ct.c_int32)), ("bos", ct.c_int32),
                ("n_params", ct.c_uint64), ("weights_bytes", ct.c_uint64),
                ("mapped_bytes", ct.c_uint64), ("resident_bytes", ct.c_uint64), ("peak", ct.c_int)]


class EngineOptions(ct.Structure):
    _fields_ = [("struct_bytes", ct.c_size_t), ("n_batch", ct.c_int), ("n_threads", ct.c_int),
                ("n_logits", ct.c_int), ("cancel", ct.c_void_p), ("cancel_context", ct.c_void_p),
                ("progress", ct.c_void_p), ("progress_context", ct.c_void_p),
                ("allocator", Allocator), ("pin", ct.c_int), ("receive", ct.c_void_p),
                ("send", ct.c_void_p), ("link_context", ct.c_void_p), ("n_hidden", ct.c_int)]


class SessionOptions(ct.Structure):
    _fields_ = [("struct_bytes", ct.c_size_t), ("n_context", ct.c_size_t), ("allocator", Allocator)]


class AdapterOptions(ct.Structure):
    _fields_ = [("struct_bytes", ct.c_size_t), ("allocator", Allocator), ("log", ct.c_void_p),
                ("log_context", ct.c_void_p)]


class AdapterUse(ct.Structure):
    _fields_ = [("adapter", ct.c_void_p), ("scale", ct.c_float)]


class FeedItem(ct.Structure):
    _fields_ = [("session", ct.c_void_p), ("tokens", ct.POINTER(ct.c_int32)), ("n", ct.c_size_t),
                ("n_logits", ct.c_size_t), ("logits", ct.POINTER(ct.c_float)),
                ("n_hidden", ct.c_size_t), ("hidden", ct.POINTER(ct.c_float))]


def options(kind, **members):
    return kind(ct.sizeof(kind), **members)


class EngineError(RuntimeError):
    pass


class Library:
    def __init__(self, path):
        self.c = ct.CDLL(path)
        handle, out, err = ct.c_void_p, ct.POINTER(ct.c_void_p), ct.POINTER(Error)
        for name, result, *arguments in (
                ("bamba_model_open", ct.c_int, out, ct.c_char_p, ct.POINTER(ModelOptions), err),
                ("bamba_model_free", None, handle),
                ("bamba_model_info_get", ct.c_int, handle, ct.POINTER(ModelInfo)),
                ("bamba_engine_create", ct.c_int, out, handle, ct.POINTER(EngineOptions), err),
                ("bamba_engine_free", None, handle),
                ("bamba_session_create", ct.c_int, out, handle, ct.POINTER(SessionOptions), err),
                ("bamba_adapter_open", ct.c_int, out, handle, ct.c_char_p,
                 ct.POINTER(AdapterOptions), err),
                ("bamba_adapter_free", None, handle),
                ("bamba_session_set_adapters", ct.c_int, handle, ct.POINTER(AdapterUse),
                 ct.c_size_t, err),
                ("bamba_session_free", None, handle),
                ("bamba_session_position", ct.c_size_t, handle),
                ("bamba_feed", ct.c_int, handle, handle, ct.POINTER(ct.c_int32), ct.c_size_t,
                 ct.POINTER(ct.POINTER(ct.c_float)), err),
                ("bamba_feed_batch", ct.c_int, handle, ct.POINTER(FeedItem), ct.c_size_t, err)):
            function = getattr(self.c, name)
            function.restype, function.argtypes = result, arguments

    def call(self, name, *arguments):
        err = Error()
        if getattr(self.c, name)(*arguments, ct.byref(err)) != 0:
            raise EngineError(f"{name}: {err.message.decode(errors='replace')}")

    def create(self, name, *arguments):
        out = ct.c_void_p()
        self.call(name, ct.byref(out), *arguments)
        return out


class Owner:
    """Holds one C object; freed by close() or at the end of a with block."""
    def __init__(self, lib, handle, free):
        self.lib, self.handle, self._free = lib, handle, free

    def close(self):
        if self.handle:
            self._free(self.handle)
            self.handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Model(Owner):
    def __init__(self, lib, folder, weight_type="default", kv_type="default", cpu=None,
                 compute="default"):
        wanted = options(ModelOptions, weight_type=TYPES[weight_type], kv_type=TYPES[kv_type],
                         compute_type=TYPES[compute], cpu=cpu.encode() if cpu else None)
        handle = lib.create("bamba_model_open", str(folder).encode(), ct.byref(wanted))
        super().__init__(lib, handle, lib.c.bamba_model_free)

    def info(self):
        info = options(ModelInfo)
        if self.lib.c.bamba_model_info_get(self.handle, ct.byref(info)) != 0:
            raise EngineError("bamba_model_info_get")
        return info


class Adapter(Owner):
    def __init__(self, model, folder):
        handle = model.lib.create("bamba_adapter_open", model.handle, str(folder).encode(), None)
        super().__init__(model.lib, handle, model.lib.c.bamba_adapter_free)


class Session(Owner):
    def __init__(self, model, n_context=2048, adapters=()):
        """adapters: (Adapter, scale) of each."""
        wanted = options(SessionOptions, n_context=n_context)
        handle = model.lib.create("bamba_session_create", model.handle, ct.byref(wanted))
        super().__init__(model.lib, handle, model.lib.c.bamba_session_free)
        uses = (AdapterUse * len(adapters))(*((a.handle, scale) for a, scale in adapters))
        if adapters:
            self.lib.call("bamba_session_set_adapters", handle, uses, len(adapters))

    def position(self):
        return self.lib.c.bamba_session_position(self.handle)


class Engine(Owner):
    def __init__(self, model, n_threads=1, n_batch=0, n_rows=1024):
        """n_rows: of logits, and hidden ones, that a call may ask for."""
        wanted = options(EngineOptions, n_batch=n_batch, n_threads=n_threads, n_logits=n_rows,
                         n_hidden=n_rows)
        handle = model.lib.create("bamba_engine_create", model.handle, ct.byref(wanted))
        super().__init__(model.lib, handle, model.lib.c.bamba_engine_free)
        self.n_vocab, self.d_model = model.info().n_vocab, model.info().d_model

    def feed(self, session, tokens):
        """bamba_feed: float32 logits [V] after the last token."""
        ids = (ct.c_int32 * len(tokens))(*map(int, tokens))
        logits = ct.POINTER(ct.c_float)()
        self.lib.call("bamba_feed", self.handle, session.handle, ids, len(tokens), ct.byref(logits))
        return np.ctypeslib.as_array(logits, (self.n_vocab,)).copy()

    def feed_batch(self, parts):
        """bamba_feed_batch of [(session, tokens)]: for each part the logits [n, V] after every
        token."""
        items = (FeedItem * len(parts))()
        for item, (session, tokens) in zip(items, parts):
            ids = (ct.c_int32 * len(tokens))(*map(int, tokens))
            item.session, item.tokens = session.handle, ids
            item.n = item.n_logits = len(tokens)
        self.lib.call("bamba_feed_batch", self.handle, items, len(parts))
        return [np.ctypeslib.as_array(item.logits, (item.n, self.n_vocab)).copy() for item in items]

    def feed_hidden(self, session, tokens):
        """bamba_feed_batch of one part: the hidden rows [n, D] of all its tokens."""
        ids = (ct.c_int32 * len(tokens))(*map(int, tokens))
        item = FeedItem(session.handle, ids, len(tokens), n_hidden=len(tokens))
        self.lib.call("bamba_feed_batch", self.handle, ct.byref(item), 1)
        if item.logits:
            raise EngineError("logits that nobody asked for")
        return np.ctypeslib.as_array(item.hidden, (item.n, self.d_model)).copy()

    def run(self, model, tokens, pieces=None):
        """Logits [T, V] of a fresh session fed tokens in pieces of these sizes (None: all at
        once)."""
        with Session(model) as session:
            rows, at = [], 0
            for n in pieces or [len(tokens)]:
                rows += self.feed_batch([(session, tokens[at:at + n])])
                at += n
            if at != len(tokens) or session.position() != at:
                raise EngineError(f"fed {at} of {len(tokens)} tokens, position "
                                  f"{session.position()}")
        return np.concatenate(rows)

    def greedy(self, model, prompt, n):
        """(ids [n], logits [n, V]): prompt fed whole, then one token after another."""
        with Session(model) as session:
            rows = [self.feed(session, prompt)]
            ids = [int(rows[-1].argmax())]
            while len(ids) < n:
                rows.append(self.feed(session, ids[-1:]))
                ids.append(int(rows[-1].argmax()))
        return np.array(ids), np.stack(rows)


def cut(n, size):
    """n as pieces of size and a rest."""
    return [size] * (n // size) + ([n % size] if n % size else [])
