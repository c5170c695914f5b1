"""What pyproject.toml cannot say yet: the codec's inner loops in C. Without a compiler, NumPy does their work."""

import os

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "narrows.codec._inner",
            ["narrows/codec/_inner.c", "narrows/codec/_residual.c"],
            depends=["narrows/codec/_inner.h"],
            extra_compile_args=[] if os.name == "nt" else ["-O3", "-fwrapv", "-fopenmp-simd", "-Wall", "-Wextra"],
            py_limited_api=True,
            optional=True,
        )
    ]
)
