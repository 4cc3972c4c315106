"""What users are told, in the languages of a stack."""
# ruff: noqa: RUF001  (full-width punctuation is right in Chinese)

import os

TEXTS = {
    "en": {
        "killed": "Memory ran out, so this kernel ({kernel}) was stopped. Your server may use {limit} MB in all. What "
        "the kernel had computed is lost; the notebook and your other kernels are not. The kernel starts again by "
        "itself. To leave more memory for it, shut down kernels that you do not need.",
        "other": "Memory ran out, so a program on your server was stopped: not this kernel ({kernel}), but perhaps "
        "one that it uses. Your server may use {limit} MB in all.",
        "above quota": "Your files take up {used}; {quota} are meant for each user. Nothing is stopped, but please "
        "remove what you do not need.",
        "nearly full": "Your files take up {used} of {quota}. When there is no room left, nothing can be saved. Please "
        "remove what you do not need.",
    },
    "zh": {
        "killed": "内存已用完，因此这个内核（{kernel}）被停止了。您的服务器总共可以使用 {limit} MB 内存。内核中的计算"
        "结果已丢失，但笔记本和其他内核不受影响。内核会自动重新启动。关闭不需要的内核，可以为它留出更多内存。",
        "other": "内存已用完，因此您服务器上的一个程序被停止了：不是这个内核（{kernel}），但可能是它所使用的程序。"
        "您的服务器总共可以使用 {limit} MB 内存。",
        "above quota": "您的文件占用了 {used}，而每位用户的配额是 {quota}。目前不会阻止任何操作，"
        "但请删除不需要的文件。",
        "nearly full": "您的文件已占用 {used}，上限是 {quota}。空间用完后将无法保存任何内容，请删除不需要的文件。",
    },
}


def text(what: str, **values: object) -> str:
    """The text of this name in the language of the stack, its placeholders filled in."""
    return TEXTS[os.environ.get("STACKGEN_LANGUAGE", "en")][what].format(**values)
