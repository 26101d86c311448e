# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) the authors of sd-worker
"""Renders pictures of different jobs in one batch. Part of sd-worker, which installs it and sends it its jobs.

A request of batch_size N carries a list of N jobs as this script's one argument:

    "alwayson_scripts": {"batch jobs": {"args": [[{"prompt": ..., "negative_prompt": ..., "seed": ..., "subseed": ...,
                                                   "hr_prompt": ..., "hr_negative_prompt": ...}, ...]]}}

The script writes them over the prompts and seeds that the request has for all pictures. Without the list it does nothing.
"""
import gradio as gr

from modules import processing, scripts

VERSION = 1


class BatchJobs(scripts.Script):
    def title(self):
        return "Batch jobs"

    def show(self, is_img2img):
        return False if is_img2img else scripts.AlwaysVisible

    def ui(self, is_img2img):
        # sd-worker reads the version from this label, in GET script-info.
        return [gr.Textbox(label=f"jobs of sd-worker, version {VERSION}", value="", visible=False)]

    def process(self, p, jobs="", *_):
        if not isinstance(jobs, list):
            return
        if len(jobs) != len(p.all_prompts):
            raise ValueError(f"{len(jobs)} jobs for {len(p.all_prompts)} pictures")
        p.all_prompts = [job["prompt"] for job in jobs]
        p.all_negative_prompts = [job["negative_prompt"] for job in jobs]
        p.all_seeds = [int(processing.get_fixed_seed(job["seed"])) for job in jobs]
        p.all_subseeds = [int(processing.get_fixed_seed(job["subseed"])) for job in jobs]
        p.main_prompt, p.main_negative_prompt = p.all_prompts[0], p.all_negative_prompts[0]
        if getattr(p, "enable_hr", False):
            # An empty prompt of the second pass is that of the first.
            p.all_hr_prompts = [job["hr_prompt"] or job["prompt"] for job in jobs]
            p.all_hr_negative_prompts = [job["hr_negative_prompt"] or job["negative_prompt"] for job in jobs]
