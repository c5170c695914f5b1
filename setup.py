"""What pyproject.toml cannot say yet: the codec's inner loops in C. Without a compiler, NumPy does their work."""

import os

from setuptools import Extension, setup

FLAGS = ["-O3", "-fwrapv", "-fvisibility=hidden", "-fopenmp-simd", "-Wall", "-Wextra"]

setup(
    ext_modules=[
        Extension(
            "narrows.codec.kernels._kernels",
            [
                f"narrows/codec/kernels/{file}.c"
                for file in (
                    "_kernels",
                    "_arguments",
                    "_mixture",
                    "_linear",
                    "_causal",
                    "_causal_run",
                    "_lines",
                    "_interpolation",
                    "_neighbours",
                    "_bisection",
                    "_text_tables",
                    "_text_mixing",
                    "_text",
                    "_columns",
                )
            ],
            depends=[
                f"narrows/codec/kernels/{file}.h"
                for file in (
                    "_kernels",
                    "_mixture",
                    "_causal",
                    "_layer",
                    "_lines",
                    "_adaptive",
                    "_interpolation",
                    "_text",
                    "_columns",
                )
            ],
            extra_compile_args=[] if os.name == "nt" else FLAGS,
            py_limited_api=True,
            optional=True,
        ),
        Extension(
            "narrows.data.tables._cells",
            ["narrows/data/tables/_cells.c", "narrows/codec/kernels/_arguments.c"],
            depends=["narrows/codec/kernels/_kernels.h"],
            extra_compile_args=[] if os.name == "nt" else FLAGS,
            py_limited_api=True,
            optional=True,
        ),
    ]
)
