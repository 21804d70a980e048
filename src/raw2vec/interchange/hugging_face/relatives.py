"""The nearest of kin of architectures that cannot be taken over, which their spelling does not tell."""

from __future__ import annotations

from raw2vec.errors import nearest

_NONE = ""
_RELATIVES = {
    **dict.fromkeys(
        ("electra", "albert", "deberta", "deberta-v2", "ernie", "convbert", "funnel", "megatron-bert"), "bert"
    ),
    **dict.fromkeys(("xlm", "xlm-roberta-xl", "roberta-prelayernorm", "data2vec-text", "flaubert"), "roberta"),
    **dict.fromkeys(("new", "gte", "jina_bert", "eurobert"), "modernbert"),
    **dict.fromkeys(("deit", "dinov2", "dinov3_vit", "beit", "vit_mae", "swin", "ijepa"), "vit"),
    **dict.fromkeys(("clip_text_model", "clip_vision_model", "chinese_clip", "altclip"), "clip"),
    **dict.fromkeys(("siglip_text_model", "siglip_vision_model", "siglip2"), "siglip"),
    **dict.fromkeys(("bart", "mbart", "m2m_100", "pegasus", "t5", "mt5", "nllb-moe"), "marian"),
    **dict.fromkeys(
        ("gpt2", "gpt_neox", "opt", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "phi3"), _NONE
    ),
    **dict.fromkeys(("wav2vec2", "hubert", "whisper"), _NONE),
}
"""Their model types, and the nearest that is known here; none for what is built altogether otherwise."""


def kin(kind: str, known: tuple[str, ...]) -> str:
    """The nearest of what is known, in a sentence with a space before it: of kin, else by spelling; '' for none."""
    if kind not in _RELATIVES:
        return nearest(kind, known)
    if not (near := _RELATIVES[kind]):
        return " None of these is built as it is."
    return f" The nearest of these is {near}, which is not the same: its weights do not go into one."
