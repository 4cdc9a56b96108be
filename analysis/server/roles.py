"""Whose series mean what: the names that inference servers and GPU exporters give the same few quantities."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

How = Literal["sum", "mean"]


class Role(NamedTuple):
    """
    A quantity, whoever tells it.

    Attributes:
        label: In sentences and charts.
        unit: As it is kept: requests, share, bytes, W; `1/s` of a counter is its rate, in what the label says.
        how: Over models, engines and GPUs: together, or on average.
        counter: It only grows, and its rate is what is told.
    """

    label: str
    unit: str
    how: How = "sum"
    counter: bool = False


ROLES: Final = {
    "running": Role("running", "requests"),
    "waiting": Role("waiting", "requests"),
    "kv_cache": Role("KV cache", "share", "mean"),
    "preemptions": Role("preemptions", "1/s", counter=True),
    "prompt_tokens": Role("input tokens", "1/s", counter=True),
    "generation_tokens": Role("output tokens", "1/s", counter=True),
    "gpu_util": Role("GPU busy", "share", "mean"),
    "gpu_memory": Role("GPU memory", "bytes"),
    "gpu_power": Role("GPU power", "W"),
}

MIB: Final = 2.0**20

NAMES: Final[dict[str, tuple[str, float]]] = {
    # vLLM; the cache's share was called gpu_cache_usage_perc before, and for a while it is both.
    "vllm:num_requests_running": ("running", 1),
    "vllm:num_requests_waiting": ("waiting", 1),
    "vllm:kv_cache_usage_perc": ("kv_cache", 1),
    "vllm:gpu_cache_usage_perc": ("kv_cache", 1),
    "vllm:num_preemptions_total": ("preemptions", 1),
    "vllm:prompt_tokens_total": ("prompt_tokens", 1),
    "vllm:generation_tokens_total": ("generation_tokens", 1),
    # SGLang
    "sglang:num_running_reqs": ("running", 1),
    "sglang:num_queue_reqs": ("waiting", 1),
    "sglang:token_usage": ("kv_cache", 1),
    "sglang:prompt_tokens_total": ("prompt_tokens", 1),
    "sglang:generation_tokens_total": ("generation_tokens", 1),
    # Text Generation Inference; its token counts are the sums of histograms.
    "tgi_batch_current_size": ("running", 1),
    "tgi_queue_size": ("waiting", 1),
    "tgi_request_input_length_sum": ("prompt_tokens", 1),
    "tgi_request_generated_tokens_sum": ("generation_tokens", 1),
    # llama.cpp; newer ones don't tell their cache's share.
    "llamacpp:requests_processing": ("running", 1),
    "llamacpp:requests_deferred": ("waiting", 1),
    "llamacpp:kv_cache_usage_ratio": ("kv_cache", 1),
    "llamacpp:prompt_tokens_total": ("prompt_tokens", 1),
    "llamacpp:tokens_predicted_total": ("generation_tokens", 1),
    # Triton
    "nv_inference_pending_request_count": ("waiting", 1),
    "nv_gpu_utilization": ("gpu_util", 1),
    "nv_gpu_memory_used_bytes": ("gpu_memory", 1),
    "nv_gpu_power_usage": ("gpu_power", 1),
    # DCGM exporter: per cent and MiB.
    "DCGM_FI_DEV_GPU_UTIL": ("gpu_util", 0.01),
    "DCGM_FI_DEV_FB_USED": ("gpu_memory", MIB),
    "DCGM_FI_DEV_POWER_USAGE": ("gpu_power", 1),
    # nvidia_gpu_exporter
    "nvidia_smi_utilization_gpu_ratio": ("gpu_util", 1),
    "nvidia_smi_memory_used_bytes": ("gpu_memory", 1),
    "nvidia_smi_power_draw_watts": ("gpu_power", 1),
    # The embedded provider
    "mock_requests_running": ("running", 1),
    "mock_requests_waiting": ("waiting", 1),
    "mock_prompt_tokens_total": ("prompt_tokens", 1),
    "mock_generation_tokens_total": ("generation_tokens", 1),
}
"""Series: its role, and what a value is multiplied by. Of several that a source has for a role, the first counts."""

SERVERS: Final = {
    "vllm:": "vLLM", "sglang:": "SGLang", "tgi_": "TGI", "llamacpp:": "llama.cpp", "nv_": "Triton", "DCGM_": "DCGM",
    "nvidia_smi_": "nvidia_gpu_exporter", "mock_": "the embedded provider",
}  # fmt: skip

RANKS: Final = re.compile(r'(?:^|,)(?:tp_rank|pp_rank|moe_ep_rank)="[^"]*"')
"""Labels of processes that serve the same requests together: each says the same, and once counts."""

_LIKELY: Final = re.compile(r"queue|running|waiting|pending|in_?flight", re.IGNORECASE)
_NOT_NOW: Final = re.compile(r"_(?:total|sum|count|seconds|ms|us|bytes|info|max|limit|capacity)$", re.IGNORECASE)


def is_likely(name: str) -> bool:
    """Whether a series that nobody knows may say how many requests are served or wait now."""
    return name not in NAMES and bool(_LIKELY.search(name)) and not _NOT_NOW.search(name)


def server_of(names: set[str]) -> str:
    """Who has series of these names; empty where nobody known has."""
    known = {name for name in names if name in NAMES}
    return ", ".join(title for prefix, title in SERVERS.items() if any(name.startswith(prefix) for name in known))
