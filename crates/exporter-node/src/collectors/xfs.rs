//! What XFS counts for each mounted filesystem, from `/sys/fs/xfs/*/stats/stats`.

use std::collections::HashMap;
use std::path::Path;

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, counter};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

/// A family is a line of the file and a column of it.
#[rustfmt::skip]
const FAMILIES: &[(&str, usize, Family)] = &[
    ("extent_alloc", 0, counter("node_xfs_extent_allocation_extents_allocated_total", "Number of extents allocated for a filesystem.")),
    ("extent_alloc", 1, counter("node_xfs_extent_allocation_blocks_allocated_total", "Number of blocks allocated for a filesystem.")),
    ("extent_alloc", 2, counter("node_xfs_extent_allocation_extents_freed_total", "Number of extents freed for a filesystem.")),
    ("extent_alloc", 3, counter("node_xfs_extent_allocation_blocks_freed_total", "Number of blocks freed for a filesystem.")),
    ("abt", 0, counter("node_xfs_allocation_btree_lookups_total", "Number of allocation B-tree lookups for a filesystem.")),
    ("abt", 1, counter("node_xfs_allocation_btree_compares_total", "Number of allocation B-tree compares for a filesystem.")),
    ("abt", 2, counter("node_xfs_allocation_btree_records_inserted_total", "Number of allocation B-tree records inserted for a filesystem.")),
    ("abt", 3, counter("node_xfs_allocation_btree_records_deleted_total", "Number of allocation B-tree records deleted for a filesystem.")),
    ("blk_map", 0, counter("node_xfs_block_mapping_reads_total", "Number of block map for read operations for a filesystem.")),
    ("blk_map", 1, counter("node_xfs_block_mapping_writes_total", "Number of block map for write operations for a filesystem.")),
    ("blk_map", 2, counter("node_xfs_block_mapping_unmaps_total", "Number of block unmaps (deletes) for a filesystem.")),
    ("blk_map", 3, counter("node_xfs_block_mapping_extent_list_insertions_total", "Number of extent list insertions for a filesystem.")),
    ("blk_map", 4, counter("node_xfs_block_mapping_extent_list_deletions_total", "Number of extent list deletions for a filesystem.")),
    ("blk_map", 5, counter("node_xfs_block_mapping_extent_list_lookups_total", "Number of extent list lookups for a filesystem.")),
    ("blk_map", 6, counter("node_xfs_block_mapping_extent_list_compares_total", "Number of extent list compares for a filesystem.")),
    ("bmbt", 0, counter("node_xfs_block_map_btree_lookups_total", "Number of block map B-tree lookups for a filesystem.")),
    ("bmbt", 1, counter("node_xfs_block_map_btree_compares_total", "Number of block map B-tree compares for a filesystem.")),
    ("bmbt", 2, counter("node_xfs_block_map_btree_records_inserted_total", "Number of block map B-tree records inserted for a filesystem.")),
    ("bmbt", 3, counter("node_xfs_block_map_btree_records_deleted_total", "Number of block map B-tree records deleted for a filesystem.")),
    ("dir", 0, counter("node_xfs_directory_operation_lookup_total", "Number of file name directory lookups which miss the operating systems directory name lookup cache.")),
    ("dir", 1, counter("node_xfs_directory_operation_create_total", "Number of times a new directory entry was created for a filesystem.")),
    ("dir", 2, counter("node_xfs_directory_operation_remove_total", "Number of times an existing directory entry was created for a filesystem.")),
    ("dir", 3, counter("node_xfs_directory_operation_getdents_total", "Number of times the directory getdents operation was performed for a filesystem.")),
    ("ig", 0, counter("node_xfs_inode_operation_attempts_total", "Number of times the OS looked for an XFS inode in the inode cache.")),
    ("ig", 1, counter("node_xfs_inode_operation_found_total", "Number of times the OS looked for and found an XFS inode in the inode cache.")),
    ("ig", 2, counter("node_xfs_inode_operation_recycled_total", "Number of times the OS found an XFS inode in the cache, but could not use it as it was being recycled.")),
    ("ig", 3, counter("node_xfs_inode_operation_missed_total", "Number of times the OS looked for an XFS inode in the cache, but did not find it.")),
    ("ig", 4, counter("node_xfs_inode_operation_duplicates_total", "Number of times the OS tried to add a missing XFS inode to the inode cache, but found it had already been added by another process.")),
    ("ig", 5, counter("node_xfs_inode_operation_reclaims_total", "Number of times the OS reclaimed an XFS inode from the inode cache to free memory for another purpose.")),
    ("ig", 6, counter("node_xfs_inode_operation_attribute_changes_total", "Number of times the OS explicitly changed the attributes of an XFS inode.")),
    ("rw", 1, counter("node_xfs_read_calls_total", "Number of read(2) system calls made to files in a filesystem.")),
    ("rw", 0, counter("node_xfs_write_calls_total", "Number of write(2) system calls made to files in a filesystem.")),
    ("vnodes", 0, counter("node_xfs_vnode_active_total", "Number of vnodes not on free lists for a filesystem.")),
    ("vnodes", 1, counter("node_xfs_vnode_allocate_total", "Number of times vn_alloc called for a filesystem.")),
    ("vnodes", 2, counter("node_xfs_vnode_get_total", "Number of times vn_get called for a filesystem.")),
    ("vnodes", 3, counter("node_xfs_vnode_hold_total", "Number of times vn_hold called for a filesystem.")),
    ("vnodes", 4, counter("node_xfs_vnode_release_total", "Number of times vn_rele called for a filesystem.")),
    ("vnodes", 5, counter("node_xfs_vnode_reclaim_total", "Number of times vn_reclaim called for a filesystem.")),
    ("vnodes", 6, counter("node_xfs_vnode_remove_total", "Number of times vn_remove called for a filesystem.")),
];

/// How many numbers the lines have that families come from.
const COLUMNS: &[(&str, std::ops::RangeInclusive<usize>)] = &[
    ("extent_alloc", 4..=4),
    ("abt", 4..=4),
    ("blk_map", 7..=7),
    ("bmbt", 4..=4),
    ("dir", 4..=4),
    ("ig", 7..=7),
    ("rw", 2..=2),
    ("vnodes", 7..=8),
];

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    all_or_nothing(page, |page| {
        for (device, dir) in sysfs::matching(&paths.sys("fs/xfs"), |_| true) {
            let path = dir.join("stats/stats");
            if path.exists() {
                write_filesystem(&device, &path, page)?;
            }
        }
        Ok(())
    })
}

fn write_filesystem(device: &str, path: &Path, page: &mut Page) -> Result<(), Fault> {
    let text = read::text(path)?;
    let mut lines: HashMap<&str, Vec<u32>> = HashMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(label) = words.next() else { continue };
        let Some((_, columns)) = COLUMNS.iter().find(|(known, _)| *known == label) else { continue };
        let numbers: Option<Vec<u32>> = words.map(|w| w.parse().ok()).collect();
        match numbers.filter(|n| columns.contains(&n.len())) {
            Some(numbers) => lines.insert(label, numbers),
            None => return Err(Fault::garbage(path, format_args!("{line:?}"))),
        };
    }
    for (line, column, family) in FAMILIES {
        let value = lines.get(line).and_then(|numbers| numbers.get(*column)).copied().unwrap_or(0);
        family.sample(page, &[("device", device)], f64::from(value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn columns_become_families() {
        let tree = Tree::new(&[
            (
                "sys/fs/xfs/sda1/stats/stats",
                "extent_alloc 1 0 2 3\nrw 28 29\nvnodes 4 0 0 0 1 1 1 0\nxpc 399724544 1 2\n",
            ),
            ("sys/fs/xfs/stats/stats", "a file where others have a directory"),
        ]);
        let text = tree.samples(make, &[]);
        assert_eq!(text.lines().count(), 39);
        for line in [
            "node_xfs_extent_allocation_extents_freed_total{device=\"sda1\"} 2",
            "node_xfs_read_calls_total{device=\"sda1\"} 29",
            "node_xfs_write_calls_total{device=\"sda1\"} 28",
            "node_xfs_vnode_active_total{device=\"sda1\"} 4",
            "node_xfs_block_map_btree_lookups_total{device=\"sda1\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert_eq!(Tree::new(&[]).samples(make, &[]), "");
        let bad = Tree::new(&[("sys/fs/xfs/sda1/stats/stats", "rw 1\n")]);
        let (text, outcome) = bad.collect(make, &[]);
        assert_eq!(text, "");
        assert!(
            matches!(&outcome, Err(Fault::Error(e)) if e.ends_with("unexpected \"rw 1\"")),
            "{outcome:?}"
        );
    }
}
