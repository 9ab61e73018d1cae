"""Tasks: corpora from the synthetic topic task or from text."""

from attn_dynamics.tasks.options import Options, TextOptions
from attn_dynamics.tasks.padding import padded
from attn_dynamics.tasks.registry import TASKS, load_task, load_text
from attn_dynamics.tasks.synthetic import Synthetic
from attn_dynamics.tasks.task import Task
from attn_dynamics.tasks.text import text_task

__all__ = ["TASKS", "Options", "Synthetic", "Task", "TextOptions", "load_task", "load_text", "padded", "text_task"]
