#!/bin/sh
#SBATCH --job-name=mase-search
#SBATCH --array=1-4
# A worker of one study: all that a scheduler starts. CH, STORAGE and CONFIG come with sbatch --export.
exec "$CH" search --config="$CONFIG" --storage="$STORAGE" --project=cluster --worker --quiet \
  --run_dir="$OUTPUT/worker-$SLURM_ARRAY_TASK_ID"
