# Ruby's pg; one JSON line a step.
require 'json'
require 'pg'

TARGET = JSON.parse(ENV['CORDON_CLIENT'])
TEXT = TARGET['steps']
connection = PG.connect(host: TARGET['host'], port: TARGET['port'], dbname: TARGET['database'], user: TARGET['user'], password: TARGET['password'], sslmode: 'prefer')
$stdout.sync = true

def step(name)
  puts JSON.generate({ step: name, value: yield })
rescue PG::Error => error
  state = error.respond_to?(:result) && error.result ? error.result.error_field(PG::Result::PG_DIAG_SQLSTATE) : error.class.name
  puts JSON.generate({ step: name, error: state.to_s, message: error.message })
end

bound = ->(name) { number = 0; TEXT[name].gsub('?') { "$#{number += 1}" } }
%w[types rows masked].each { |name| step(name) { connection.exec(TEXT[name]).values } }
step('prepared') do
  connection.prepare('walk', bound.('prepared'))
  [1, 3, 1].map { |first| connection.exec_prepared('walk', [first]).values }
end
step('masked_prepared') { connection.exec_params(bound.('masked_prepared'), [1]).values }
step('masked_binary') { connection.exec_params(bound.('masked_prepared'), [1], 1).values.map { |row| row.each_with_index.map { |cell, index| index == 0 || index == 4 ? cell && cell.bytesize : cell } } }
step('parameters') { connection.exec_params(bound.('parameters'), ["it's \\ ż", 42, nil]).values }
step('large') { connection.exec(TEXT['large']).values.map { |row| row.map(&:length) } }
step('large_parameter') { connection.exec_params(bound.('large_parameter'), ['y' * 900_000]).values }
step('many') { all = connection.exec(TEXT['many']).values; [all.length, all.first, all.last] }
step('single_row') do
  connection.send_query(TEXT['many'])
  connection.set_single_row_mode
  count = 0
  while (result = connection.get_result)
    count += result.ntuples
  end
  count
end
%w[error syntax after derived].each { |name| step(name) { connection.exec(TEXT[name]).values } }
connection.exec('BEGIN')
step('insert') { [connection.exec(TEXT['insert']).cmd_tuples, connection.exec(TEXT['count']).values] }
connection.exec('ROLLBACK')
connection.exec('BEGIN')
step('insert_prepared') { [connection.exec_params(bound.('insert_prepared'), ['777.5']).cmd_tuples, connection.exec(TEXT['count']).values] }
connection.exec('ROLLBACK')
step('rolled_back') { connection.exec(TEXT['count']).values }
step('several') { connection.exec("#{TEXT['after']}; #{TEXT['rows']}").values.length }
step('sleep') do
  connection.send_query(TEXT['sleep'])
  sleep 0.4
  connection.cancel
  connection.get_last_result.values
end
connection.discard_results
step('end') { connection.exec(TEXT['after']).values }
connection.close
