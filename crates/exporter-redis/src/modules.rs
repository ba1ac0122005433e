//! What modules and relatives of Redis say: INFO MODULES, search indexes, Tile38; and what the user's own Lua scripts say.

use model::float::parse_go_float;
use regex::Regex;

use crate::connect::{Batch, Connection, Fault};
use crate::info;
use crate::resp::Value;
use crate::sheet::Sheet;

/// Most search indexes that are asked about.
const MAX_INDEXES: usize = 1000;

/// INFO MODULES: `module:name=ft,ver=21005,api=1,filters=0,usedby=[],using=[],options=[]`, and fields.
pub(crate) fn write_info(sheet: &mut Sheet, text: &str) {
    for (name, value) in text.lines().filter_map(|line| line.trim().split_once(':')) {
        if name != "module" {
            info::plain(sheet, name, value, false);
            continue;
        }
        let parts: Vec<&str> = value.split(',').map(|p| p.split_once('=').map_or("", |(_, v)| v)).collect();
        let [name, ver, api, filters, usedby, using, _] = parts.as_slice() else { continue };
        let labels = [
            ("name", *name),
            ("ver", ver),
            ("api", api),
            ("filters", filters),
            ("usedby", usedby),
            ("using", using),
        ];
        sheet.gauge("module_info", "Information about loaded Redis module", &labels, 1.0);
    }
}

/// Tile38's SERVER EXT: names and values by turns.
pub(crate) fn write_tile38(sheet: &mut Sheet, reply: Value) {
    for (name, value) in reply.into_pairs().unwrap_or_default() {
        let bare = name.strip_prefix("tile38_").unwrap_or(&name);
        info::plain(sheet, &format!("tile38_{bare}"), &value, false);
    }
}

/// A script's result: names and numbers by turns.
///
/// # Errors
/// When the server refused it or its result is none; the scrape then counts as failed, as the original's.
pub(crate) fn write_script(sheet: &mut Sheet, file: &str, reply: Value) -> Result<(), String> {
    let outcome = script_values(reply);
    let result = match &outcome {
        Err(_) => 0.0,
        Ok(values) if values.is_empty() => 2.0,
        Ok(_) => 1.0,
    };
    let help = "Result of the collect script evaluation";
    sheet.gauge("script_result", help, &[("filename", file)], result);
    for (key, value) in outcome? {
        let labels = [("key", key.as_str()), ("filename", file)];
        sheet.gauge("script_values", "Values returned by the collect script", &labels, value);
    }
    Ok(())
}

fn script_values(reply: Value) -> Result<Vec<(String, f64)>, String> {
    let list = match reply {
        Value::Error(text) => return Err(text),
        Value::Nil => return Ok(Vec::new()),
        Value::List(list) if list.len() % 2 == 0 => list,
        _ => return Err("script: expected a list of names and numbers by turns".to_owned()),
    };
    let mut values: Vec<(String, f64)> = Vec::new();
    for (name, text) in Value::List(list).into_pairs().unwrap_or_default() {
        let number = parse_go_float(&text).ok_or_else(|| format!("script: {name}: {text:?} is no number"))?;
        // As in a map: the last one counts.
        values.retain(|(known, _)| *known != name);
        values.push((name, number));
    }
    Ok(values)
}

/// How a number of FT.INFO is exposed.
enum Scale {
    /// As it is.
    Same,
    /// From mebibytes to bytes.
    Mebibytes,
    /// As it is, as a counter.
    Counter,
}

const INDEX: [(&str, &str, Scale, &str); 24] = {
    use Scale::{Counter, Mebibytes, Same};
    [
        ("num_docs", "num_docs", Same, "Number of documents in search index"),
        ("max_doc_id", "max_doc_id", Same, "Maximum document ID in search index"),
        ("num_terms", "num_terms", Same, "Number of distinct terms in search index"),
        ("num_records", "num_records", Same, "Total number of records in search index"),
        ("inverted_sz_mb", "inverted_size_bytes", Mebibytes, "Memory used by the inverted index"),
        (
            "total_inverted_index_blocks",
            "total_inverted_index_blocks",
            Same,
            "Total number of blocks in the inverted index",
        ),
        (
            "vector_index_sz_mb",
            "vector_index_size_bytes",
            Mebibytes,
            "Memory used by the vector index, stores vectors associated with each document",
        ),
        (
            "offset_vectors_sz_mb",
            "offset_vectors_size_bytes",
            Mebibytes,
            "Memory used by the offset vectors, store positional information for terms in documents",
        ),
        (
            "doc_table_size_mb",
            "doc_table_size_bytes",
            Mebibytes,
            "Memory used by the document table, contains metadata about each document in the index",
        ),
        (
            "sortable_values_size_mb",
            "sortable_values_size_bytes",
            Mebibytes,
            "Memory used by sortable values, used for sorting purposes",
        ),
        (
            "key_table_size_mb",
            "key_table_size_bytes",
            Mebibytes,
            "Memory used by the key table, stores mapping between document IDs and keys",
        ),
        (
            "tag_overhead_sz_mb",
            "tag_overhead_size_bytes",
            Mebibytes,
            "Size of the TAG index structures used for optimising performance",
        ),
        (
            "text_overhead_sz_mb",
            "text_overhead_size_bytes",
            Mebibytes,
            "Size of the TEXT index structures used for optimising performance",
        ),
        (
            "total_index_memory_sz_mb",
            "total_index_memory_size_bytes",
            Mebibytes,
            "Total memory consumed by all indexes in the DB",
        ),
        ("geoshapes_sz_mb", "geoshapes_size_bytes", Mebibytes, "Memory used by GEO-related fields"),
        (
            "records_per_doc_avg",
            "avg_per_doc_records",
            Same,
            "Average number of records (including deletions) per document",
        ),
        ("bytes_per_record_avg", "avg_per_record_bytes", Same, "Average size of each record in bytes"),
        (
            "offsets_per_term_avg",
            "avg_per_term_offsets",
            Same,
            "Average number of offsets (position information) per term",
        ),
        (
            "offset_bits_per_record_avg",
            "avg_per_record_offset_bits",
            Same,
            "Average number of bits used for offsets per record",
        ),
        ("indexing", "indexing", Same, "Indicates whether the index is currently being generated"),
        (
            "percent_indexed",
            "percent_indexed",
            Same,
            "Percentage of the index that has been successfully generated (0-1)",
        ),
        (
            "hash_indexing_failures",
            "hash_indexing_failures",
            Same,
            "Number of failures encountered during indexing",
        ),
        ("number_of_uses", "number_of_uses_total", Counter, "Number of times the index has been used"),
        (
            "cleaning",
            "cleaning",
            Same,
            "Index deletion flag. A value of 1 indicates index deletion is in progress",
        ),
    ]
};

/// Asks for the indexes whose names match, and writes what is said of each.
pub(crate) async fn write_indexes(
    sheet: &mut Sheet,
    connection: &mut Connection,
    wanted: &Regex,
) -> Result<(), Fault> {
    let reply = connection.ask(&["FT._LIST"]).await?;
    if let Some(text) = reply.error() {
        tracing::debug!(err = text, "FT._LIST was refused");
    }
    let names = reply.into_list().unwrap_or_default().into_iter().filter_map(Value::into_text);
    let names: Vec<String> = names.filter(|name| wanted.is_match(name)).take(MAX_INDEXES).collect();
    let mut batch = Batch::default();
    for name in &names {
        batch.ask(&["FT.INFO", name]);
    }
    for (name, reply) in names.iter().zip(connection.run(&batch).await?) {
        if let Some(pairs) = reply.into_pairs() {
            write_index(sheet, name, &pairs);
        }
    }
    Ok(())
}

fn write_index(sheet: &mut Sheet, name: &str, pairs: &[(String, String)]) {
    let labels = [("index_name", name)];
    for (key, family, scale, help) in &INDEX {
        let text = pairs.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v);
        let number = parse_go_float(text).unwrap_or(0.0);
        let family = format!("search_index_{family}");
        match scale {
            Scale::Same => sheet.gauge(&family, help, &labels, number),
            Scale::Mebibytes => sheet.gauge(&family, help, &labels, number * 1_048_576.0),
            Scale::Counter => sheet.counter(&family, help, &labels, number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::tests::lines;

    fn list(words: &[&str]) -> Value {
        Value::List(words.iter().map(|w| Value::Text((*w).into())).collect())
    }

    #[test]
    fn modules_and_their_fields() {
        let mut sheet = Sheet::new("redis");
        let text = "# Modules\r\nmodule:name=search,ver=21005,api=1,filters=0,usedby=[],using=[ReJSON],options=[]\r\n\
                    # search_indexes\r\nsearch_number_of_indexes:2\r\nsearch_other:1\r\nmodule:name=short\r\n";
        write_info(&mut sheet, text);
        assert_eq!(
            lines(sheet),
            [
                "redis_module_info{api=\"1\",filters=\"0\",name=\"search\",usedby=\"[]\",using=\"[ReJSON]\",ver=\"21005\"} 1",
                "redis_search_number_of_indexes 2"
            ]
        );
    }

    #[test]
    fn scripts_give_numbers_nothing_or_an_error() {
        let check = |reply: Value| {
            let mut sheet = Sheet::new("redis");
            let outcome = write_script(&mut sheet, "a.lua", reply);
            (lines(sheet), outcome)
        };
        let result = |n| format!("redis_script_result{{filename=\"a.lua\"}} {n}");
        let value = "redis_script_values{filename=\"a.lua\",key=\"k\"} 2.5".to_owned();
        assert_eq!(check(list(&["k", "1", "k", "2.5"])), (vec![result(1), value], Ok(())));
        assert_eq!(check(list(&[])), (vec![result(2)], Ok(())));
        for (reply, error) in [
            (list(&["k"]), "script: expected a list of names and numbers by turns"),
            (list(&["k", "x"]), "script: k: \"x\" is no number"),
            (Value::Error("ERR bad".into()), "ERR bad"),
        ] {
            assert_eq!(check(reply), (vec![result(0)], Err(error.to_owned())));
        }
    }

    #[test]
    fn an_index_and_tile38() {
        let mut sheet = Sheet::new("redis");
        let pairs = [("num_docs", "3"), ("inverted_sz_mb", "0.5"), ("number_of_uses", "9")];
        write_index(&mut sheet, "i", &pairs.map(|(k, v)| (k.to_owned(), v.to_owned())));
        write_tile38(
            &mut sheet,
            list(&["tile38_num_points", "4", "heap_alloc_bytes", "5", "version", "1.30"]),
        );
        let found = lines(sheet);
        for expect in [
            "redis_search_index_inverted_size_bytes{index_name=\"i\"} 524288",
            "redis_search_index_number_of_uses_total{index_name=\"i\"} 9",
            "redis_search_index_cleaning{index_name=\"i\"} 0",
            "redis_tile38_num_points_total 4",
            "redis_tile38_heap_size_bytes 5",
        ] {
            assert!(found.contains(&expect.to_owned()), "{expect} in {found:#?}");
        }
    }
}
