"""What pyproject.toml cannot say yet: the codec's inner loops in C. Without a compiler, NumPy does their work."""

import os

from setuptools import Extension, setup

FLAGS = ["-O3", "-fwrapv", "-fvisibility=hidden", "-fopenmp-simd", "-Wall", "-Wextra"]

setup(
    ext_modules=[
        Extension(
            "narrows.codec._inner",
            [f"narrows/codec/{file}.c" for file in ("_inner", "_arguments", "_mixture", "_linear", "_causal")],
            depends=["narrows/codec/_inner.h", "narrows/codec/_mixture.h"],
            extra_compile_args=[] if os.name == "nt" else FLAGS,
            py_limited_api=True,
            optional=True,
        )
    ]
)
