//! Many sources at once, from a table (CSV, RFC 4180).

use crate::check::Check;
use crate::sources::{new_source, set_input};
use crate::{Ctx, ImportReport, ServiceError, Services};
use domain::api::SourceInput;
use domain::{Permission, SourceKey};
use store::sql::SqlError;

const MOST_BYTES: usize = 5 * 1_024 * 1_024;
const MOST_ROWS: usize = 10_000;

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    Key,
    Name,
    Kind,
    OfflineAfter,
    Attribute(String),
}

impl Column {
    /// By its heading, in either language; anything unknown is an attribute of that name.
    fn parse(heading: &str) -> Self {
        let heading = heading.trim_start_matches('\u{feff}').trim();
        match heading.to_lowercase().as_str() {
            "key" | "source" | "키" | "소스" => Self::Key,
            "name" | "이름" => Self::Name,
            "kind" | "type" | "종류" => Self::Kind,
            "offline_after_secs" | "offline_after" | "오프라인 기준(초)" => Self::OfflineAfter,
            _ => Self::Attribute(heading.to_owned()),
        }
    }
}

/// A line read.
struct Line {
    key: SourceKey,
    input: SourceInput,
}

impl Services {
    /// Makes and overwrites sources from a table whose first line names the columns: `key` (needed), `name`, `kind`,
    /// `offline_after_secs`; every other column is an attribute, left out where its cell is empty. Lines that are wrong
    /// are left out and reported; the others are taken. Needs [`Permission::WriteSources`].
    ///
    /// # Errors
    /// `TooLarge` beyond 5 MiB or 10,000 lines, `Invalid("csv")` without a `key` column.
    pub async fn import_sources(&self, ctx: &Ctx, csv: &str) -> Result<ImportReport, ServiceError> {
        let tenant = ctx.require(Permission::WriteSources)?;
        if csv.len() > MOST_BYTES {
            return Err(too_large(ctx));
        }
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(csv.as_bytes());
        let headings = reader.headers().map_err(|error| unreadable(ctx, &error))?;
        let columns: Vec<Column> = headings.iter().map(Column::parse).collect();
        if !columns.contains(&Column::Key) {
            let message = ctx.lang.pick(
                "첫 줄에 key 열이 있어야 합니다. 예: key,name,kind",
                "The first line must name a key column, for example key,name,kind.",
            );
            return Err(ServiceError::invalid("csv", message));
        }
        let mut report = ImportReport::default();
        for (index, record) in reader.records().enumerate() {
            if index >= MOST_ROWS {
                return Err(too_large(ctx));
            }
            let record = record.map_err(|error| unreadable(ctx, &error))?;
            let number = record.position().map_or(index as u64 + 2, csv::Position::line);
            let mut check = Check::new(ctx.lang);
            let line = read_line(&columns, &record, &mut check);
            if let Some(line) = line {
                let mut row = new_source(tenant, line.key.clone(), &mut check, line.input.clone());
                let problems = check.problems();
                if !problems.is_empty() {
                    report.problems.extend(at_line(number, problems));
                    continue;
                }
                match self.sql().create_source(&row).await {
                    Ok(()) => report.created += 1,
                    Err(SqlError::Conflict(_)) => {
                        set_input(&mut row, &mut Check::new(ctx.lang), line.input);
                        self.sql().update_source(&row).await?;
                        report.updated += 1;
                    }
                    Err(error) => return Err(error.into()),
                }
            } else {
                report.problems.extend(at_line(number, check.problems()));
            }
        }
        Ok(report)
    }
}

fn read_line(columns: &[Column], record: &csv::StringRecord, check: &mut Check) -> Option<Line> {
    let mut key = None;
    let mut input = SourceInput::default();
    for (column, cell) in columns.iter().zip(record.iter()) {
        let cell = cell.trim();
        match column {
            Column::Key => match SourceKey::new(cell) {
                Ok(found) => key = Some(found),
                Err(_) => check.wrong(
                    "key",
                    "소스 키는 1에서 255바이트까지이고 제어 문자가 없어야 합니다.",
                    "A source's key has 1 to 255 bytes and no control characters.",
                ),
            },
            Column::Name => cell.clone_into(&mut input.name),
            Column::Kind => cell.clone_into(&mut input.kind),
            Column::OfflineAfter if cell.is_empty() => {}
            Column::OfflineAfter => match cell.parse() {
                Ok(secs) => input.offline_after_secs = Some(secs),
                Err(_) => check.wrong(
                    "offline_after_secs",
                    "초 단위의 수를 입력하세요.",
                    "Use a whole number of seconds.",
                ),
            },
            Column::Attribute(name) if !cell.is_empty() && !name.is_empty() => {
                input.attributes.insert(name.clone(), cell.to_owned());
            }
            Column::Attribute(_) => {}
        }
    }
    if record.len() > columns.len() {
        check.wrong(
            "csv",
            "첫 줄보다 칸이 많습니다. 쉼표가 든 값은 따옴표로 묶으세요.",
            "More cells than columns. Quote values that contain a comma.",
        );
    }
    key.map(|key| Line { key, input })
}

fn at_line(
    number: u64,
    problems: Vec<domain::api::FieldProblem>,
) -> impl Iterator<Item = domain::api::FieldProblem> {
    problems.into_iter().map(move |mut problem| {
        problem.field = format!("line {number}: {}", problem.field);
        problem
    })
}

fn too_large(ctx: &Ctx) -> ServiceError {
    let text = ctx.lang.pick(
        "5 MiB, 10,000줄까지 가져올 수 있습니다. 나누어 올리세요.",
        "An import has at most 5 MiB and 10,000 lines. Upload it in parts.",
    );
    ServiceError::TooLarge(text.to_owned())
}

fn unreadable(ctx: &Ctx, error: &csv::Error) -> ServiceError {
    let line = error.position().map_or(1, csv::Position::line);
    let message = ctx.lang.pick(
        format!("{line}번째 줄을 CSV로 읽을 수 없습니다. 따옴표를 확인하세요."),
        format!("Line {line} is no CSV. Check the quotes."),
    );
    ServiceError::invalid("csv", message)
}
