"""From cases on disk to batches: readers, cases, patches, augmentation."""
