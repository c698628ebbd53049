#!/bin/sh
# What this prints as `export NAME=value` enters the environment of a job's step.
# A file .wrong-gpus in the job's folder holds the GPUs that a badly set up node would show.
if [ -f "$SLURM_SUBMIT_DIR/.wrong-gpus" ]; then
    echo "export CUDA_VISIBLE_DEVICES=$(cat "$SLURM_SUBMIT_DIR/.wrong-gpus")"
fi
