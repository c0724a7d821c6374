"""Everything the page says, in English and in Chinese.

Labels are translated in the browser, by Gradio; sentences that are made while an answer runs are translated here, by
what the browser asks for. Both follow the browser's first language, so they never disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "zh"]

#: What Gradio translates. Its own names are among them where its Chinese has gaps.
LABELS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "conversation": "Conversation",
        "empty": "Ask something. Enter sends, Shift-Enter starts a new line.",
        "ask": "Ask something",
        "model": "Model",
        "system": "System prompt",
        "system_info": "Holds from the next answer on.",
        "server_decides": "Leave sampling to the server",
        "server_decides_info": "No setting of sampling is sent then.",
        "temperature": "Temperature",
        "temperature_info": "0 always takes the likeliest token.",
        "top_p": "Top p",
        "top_p_info": "Choose among the likeliest tokens of this share.",
        "top_k": "Top k",
        "top_k_info": "Choose among this many likeliest tokens; 0 is off.",
        "repetition_penalty": "Repetition penalty",
        "repetition_penalty_info": "Above 1 avoids repetition.",
        "max_tokens": "Longest answer",
        "max_tokens_info": "In tokens.",
        "reset": "The model's own settings",
    },
    "zh": {
        "conversation": "对话",
        "empty": "说点什么吧。回车发送，Shift+回车换行。",
        "ask": "说点什么",
        "model": "模型",
        "system": "系统提示词",
        "system_info": "从下一次回答起生效。",
        "server_decides": "采样由服务端决定",
        "server_decides_info": "勾选后不发送任何采样设置。",
        "temperature": "温度",
        "temperature_info": "0 表示始终选取概率最高的 token。",
        "top_p": "Top p",
        "top_p_info": "只从累计概率达到该值的 token 中选取。",
        "top_k": "Top k",
        "top_k_info": "只从概率最高的若干个 token 中选取；0 表示不限。",
        "repetition_penalty": "重复惩罚",
        "repetition_penalty_info": "大于 1 可减少重复。",
        "max_tokens": "回答长度上限",
        "max_tokens_info": "以 token 计。",
        "reset": "恢复模型自己的设置",
        "chatbot.complete": "完成",
        "chatbot.copy_message": "复制消息",
        "chatbot.copied_message": "已复制",
        "common.progress": "进度",
        "status.queue_position": "排队中：第 {position} 位，共 {size} 位",
    },
}


def language(accept_language: str | None) -> Language:
    """Return the page's language for a browser's `Accept-Language`: Chinese where that comes first, else English."""
    return "zh" if (accept_language or "").strip().lower().startswith("zh") else "en"
