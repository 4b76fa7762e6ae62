"""Tensors that exist in name only, as DLPack capsules made by hand: any device, address, type, strides and version."""

import ctypes

CPU, CUDA, ROCM, MANAGED = 1, 2, 10, 13
# Code and bits of DLPack.
TYPES = {"bf16": (4, 16), "u8": (1, 8), "f8E4M3FN": (10, 8), "i64": (0, 64), "i32": (0, 32), "f32": (2, 32)}


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class Managed(ctypes.Structure):
    _fields_ = [("tensor", DLTensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class ManagedVersioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", DLTensor),
    ]


_new = ctypes.pythonapi.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class Capsule:
    """A producer; `asked` has the keywords that consumers called it with."""

    def __init__(self, address, shape, dtype, device=(CUDA, 0), strides=None, offset=0, version=(1, 0), read_only=False):
        self.device, self.version, self.asked = device, version, []
        count = len(shape)
        self._shape, self._strides = (ctypes.c_int64 * count)(*shape), strides and (ctypes.c_int64 * count)(*strides)
        self._managed = ManagedVersioned(*version, flags=int(read_only)) if version else Managed()
        tensor = self._managed.tensor
        tensor.data, tensor.ndim, tensor.byte_offset = address, count, offset
        tensor.device_type, tensor.device_id = device
        tensor.code, tensor.bits = TYPES[dtype]
        tensor.lanes = 1
        tensor.shape = self._shape
        if strides:
            tensor.strides = self._strides

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **keywords):
        self.asked.append(keywords)
        if self.version is None and "max_version" in keywords:
            raise TypeError("unexpected keyword argument 'max_version'")
        return _new(ctypes.addressof(self._managed), b"dltensor_versioned" if self.version else b"dltensor", None)
